// How a file looks by stat(2), to tell cheaply whether it is still the one that was seen.
#pragma once

#include <cstdint>

#include <sys/stat.h>

namespace sluice {

// The ctime is among it, which nobody can set: a file that was written and given its old mtime
// differs.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint32_t mode = 0;

  // Times that 64 bits of nanoseconds have no room for, before 1677 and after 2262, are about the
  // last that they have: `exact()` says that it isn't so.
  static FileStamp of(const struct stat& info);
  bool exact() const;
  bool operator==(const FileStamp&) const = default;

  // From then on (wall clock, ns since 1970) a change must show in the stamp. Times of files are
  // coarse, so one that was changed just before it was seen may change again unseen: within two
  // seconds where the file system keeps whole seconds alone, and within some ticks of the kernel's
  // clock elsewhere.
  std::int64_t settles_ns() const;
  bool settled(std::int64_t seen_ns) const { return settles_ns() < seen_ns; }
};

}  // namespace sluice
