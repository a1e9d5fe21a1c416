#include "cli/replacement.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

std::vector<std::string> entries_of(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

}  // namespace

bool has_entries(const std::string& directory) { return !entries_of(directory).empty(); }

Result<Replacement> Replacement::of(const std::string& given) {
  // What a symbolic link leads to is replaced, not the link.
  std::error_code ignored;
  std::string path = std::filesystem::weakly_canonical(given, ignored).string();
  if (ignored || path.empty()) path = given;
  struct stat info {};
  const bool present = ::stat(path.c_str(), &info) == 0;
  if (!present && errno != ENOENT) return fail_errno(errno, path);
  if (present && !S_ISDIR(info.st_mode)) return fail_errno(ENOTDIR, path);
  const Place place = !present ? Place::kAbsent : has_entries(path) ? Place::kFull : Place::kEmpty;
  if (place == Place::kEmpty) {
    Replacement in_place(path, place);
    in_place.staged_ = path;
    return in_place;
  }
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == 0 ? "/" : path.substr(0, slash);
  CHECK(make_directories(above, 0777));
  Replacement beside(path, place);
  for (unsigned i = 0; beside.staged_.empty(); ++i) {
    const std::string name = fmt::format("{}/.{}.sluice-{}.{}", slash == 0 ? "" : above,
                                         path.substr(slash + 1), ::getpid(), i);
    if (::mkdir(name.c_str(), 0777) == 0) {
      beside.staged_ = name;
    } else if (errno != EEXIST) {
      return fail_errno(errno, name);
    }
  }
  if (place == Place::kFull) {
    // As far as we may: whose it is, and who may enter.
    [[maybe_unused]] const int owned = ::chown(beside.staged_.c_str(), info.st_uid, info.st_gid);
    if (::chmod(beside.staged_.c_str(), info.st_mode & 07777) != 0)
      return fail_errno(errno, beside.staged_);
  }
  return beside;
}

Replacement::Replacement(Replacement&& other) noexcept
    : path_(std::move(other.path_)), staged_(std::move(other.staged_)), place_(other.place_),
      swapped_(other.swapped_), done_(std::exchange(other.done_, true)) {}

Replacement::~Replacement() {
  if (!done_) put_back();
}

Status Replacement::exchange() {
  if (::renameat2(AT_FDCWD, staged_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0)
    return {};
  if (errno != EINVAL && errno != ENOSYS) return fail_errno(errno, path_);
  // A filesystem that can't: in two steps, of which the first is taken back when the second fails.
  const std::string aside = staged_ + ".old";
  if (::rename(path_.c_str(), aside.c_str()) != 0) return fail_errno(errno, path_);
  if (::rename(staged_.c_str(), path_.c_str()) != 0) {
    const int cause = errno;
    if (::rename(aside.c_str(), path_.c_str()) != 0)
      return fail_errno(cause, fmt::format("{} (what was there is {})", path_, aside));
    return fail_errno(cause, path_);
  }
  if (::rename(aside.c_str(), staged_.c_str()) != 0) staged_ = aside;
  return {};
}

Status Replacement::swap() {
  if (place_ == Place::kAbsent &&
      ::renameat2(AT_FDCWD, staged_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) return fail_errno(errno, path_);
    // rename() itself takes the place of nothing but an empty directory.
    if (::rename(staged_.c_str(), path_.c_str()) != 0) return fail_errno(errno, path_);
  }
  if (place_ == Place::kFull) {
    CHECK(exchange());
  }
  swapped_ = true;
  return {};
}

Status Replacement::finish() {
  done_ = true;
  if (place_ == Place::kFull) return remove_tree(staged_);
  return {};
}

void Replacement::put_back() {
  if (place_ == Place::kEmpty) {
    for (const std::string& name : entries_of(path_)) (void)remove_tree(path_ + "/" + name);
    return;
  }
  if (place_ == Place::kFull && swapped_ && !exchange()) return;  // both stay, each whole
  (void)remove_tree(place_ == Place::kAbsent && swapped_ ? path_ : staged_);
}

}  // namespace sluice::cli
