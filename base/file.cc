#include "base/file.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace sluice {

namespace {

Status remove_at(int directory, const char* name, const std::string& shown) {
  if (::unlinkat(directory, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno(errno, "cannot remove " + shown);
  int raw = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (raw < 0 && errno == EACCES) {
    ::fchmodat(directory, name, 0700, 0);
    raw = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (raw < 0) return fail_errno(errno, "cannot open " + shown);
  struct stat info {};
  if (::fstat(raw, &info) == 0 && (info.st_mode & 0700) != 0700) ::fchmod(raw, 0700);
  DIR* stream = ::fdopendir(raw);
  if (stream == nullptr) {
    ::close(raw);
    return fail_errno(errno, "cannot list " + shown);
  }
  Status status;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    status = remove_at(raw, entry->d_name, shown + "/" + entry->d_name);
    if (!status) break;
  }
  ::closedir(stream);
  if (!status) return status;
  if (::unlinkat(directory, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return fail_errno(errno, "cannot remove " + shown);
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  auto data = read_all(fd.get());
  if (!data) data.error().message = path + ": " + data.error().message;
  return data;
}

Status write_file_atomic(const std::string& path, std::string_view data, mode_t mode) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter++);
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, temporary);
  auto written = write_all(fd.get(), data);
  if (!written) {
    ::unlink(temporary.c_str());
    written.error().message = path + ": " + written.error().message;
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int cause = errno;
    ::unlink(temporary.c_str());
    return fail_errno(cause, path);
  }
  return {};
}

Status make_directories(const std::string& path, mode_t mode) {
  if (path.empty() || path == "/") return {};
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return fail_errno(ENOTDIR, path);
  }
  if (errno != ENOENT) return fail_errno(errno, path);
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return fail_errno(ENOENT, path);
  if (auto parent = make_directories(path.substr(0, slash), mode); !parent) return parent;
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno(errno, path);
  return {};
}

Status remove_tree(const std::string& path) { return remove_at(AT_FDCWD, path.c_str(), path); }

bool path_exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string executable_directory() {
  char buffer[4096];
  const ssize_t n = ::readlink("/proc/self/exe", buffer, sizeof buffer - 1);
  if (n <= 0) return ".";
  std::string path(buffer, static_cast<std::size_t>(n));
  return path.substr(0, path.find_last_of('/'));
}

std::string find_program(std::string_view name) {
  const std::string here = executable_directory();
  for (const char* place : {"/", "/../libexec/sluice/", "/../../bin/"}) {
    std::string candidate = here + place + std::string(name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return here + "/" + std::string(name);
}

}  // namespace sluice
