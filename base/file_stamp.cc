#include "base/file_stamp.h"

#include <algorithm>

namespace sluice {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMostSeconds = 9'000'000'000;
// FAT keeps times in steps of two seconds.
constexpr std::int64_t kCoarsest = 2 * kSecond;
// Five ticks of the slowest kernel.
constexpr std::int64_t kTicks = kSecond / 20;

std::int64_t nanoseconds(const struct timespec& time) {
  return std::clamp<std::int64_t>(time.tv_sec, -kMostSeconds, kMostSeconds) * kSecond +
         time.tv_nsec;
}

bool fits(std::int64_t ns) {
  return ns > -kMostSeconds * kSecond + kSecond && ns < kMostSeconds * kSecond;
}

}  // namespace

FileStamp FileStamp::of(const struct stat& info) {
  return {info.st_dev,
          info.st_ino,
          static_cast<std::uint64_t>(info.st_size),
          nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim),
          info.st_mode};
}

bool FileStamp::exact() const { return fits(mtime_ns) && fits(ctime_ns); }

std::int64_t FileStamp::settles_ns() const {
  // The ctime tells how finely the file system counts: a user can set the mtime to whole seconds.
  return std::max(mtime_ns, ctime_ns) + (ctime_ns % kSecond == 0 ? kCoarsest : kTicks);
}

}  // namespace sluice
