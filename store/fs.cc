#include "store/fs.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace sluice::store::fs {

Result<UniqueFd> open_directory(const std::string& path, bool follow) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)));
  if (!fd) return fail_errno(errno, path);
  return fd;
}

Result<std::vector<Name>> list(int directory) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return fail_errno(errno, "cannot list a directory");
  DIR* stream = ::fdopendir(copy);
  if (stream == nullptr) {
    ::close(copy);
    return fail_errno(errno, "cannot list a directory");
  }
  std::vector<Name> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.push_back({std::string(name), entry->d_type});
    errno = 0;
  }
  const int cause = errno;
  ::closedir(stream);
  if (cause != 0) return fail_errno(cause, "cannot list a directory");
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return a.name < b.name; });
  return names;
}

Result<std::string> read_link(int directory, const std::string& name) {
  std::string target(256, '\0');
  while (true) {
    const ssize_t n = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (n < 0) return fail_errno(errno, name);
    if (static_cast<std::size_t>(n) < target.size()) {
      target.resize(static_cast<std::size_t>(n));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

int set_times(int directory, const char* name, std::int64_t mtime_seconds,
              std::int32_t mtime_nanos) {
  const timespec times[2] = {{mtime_seconds, mtime_nanos}, {mtime_seconds, mtime_nanos}};
  return ::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW);
}

std::int64_t to_ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t stamp_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return to_ns(now);
}

std::int64_t wall_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return to_ns(now);
}

bool valid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      ++i;
      continue;
    }
    const unsigned more = c >= 0xc2 && c <= 0xdf   ? 1
                          : (c & 0xf0) == 0xe0     ? 2
                          : c >= 0xf0 && c <= 0xf4 ? 3
                                                   : 0;
    if (more == 0 || text.size() - i <= more) return false;
    for (unsigned k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (c == 0xe0 && second < 0xa0) return false;
    if (c == 0xed && second > 0x9f) return false;
    if (c == 0xf0 && second < 0x90) return false;
    if (c == 0xf4 && second > 0x8f) return false;
    i += more + 1;
  }
  return true;
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = 1;
    while (length < 4 && length < text.size() && !valid_utf8(text.substr(0, length))) ++length;
    const std::string_view one = text.substr(0, length);
    const auto first = static_cast<unsigned char>(one.front());
    if (valid_utf8(one) && first >= 0x20 && first != 0x7f) {
      out += one;
    } else {
      length = 1;
      out += fmt::format("\\x{:02x}", first);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace sluice::store::fs
