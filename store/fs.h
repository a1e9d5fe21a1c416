// System calls that the store is built of, in forms that can't leave their root. Internal to
// store/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>
#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::store::fs {

// Opens a directory for reading its entries. The last component may be a link only when `follow`.
Result<UniqueFd> open_directory(const std::string& path, bool follow = false);

struct Name {
  std::string name;
  unsigned char type = 0;  // d_type, DT_UNKNOWN where the filesystem doesn't say
};
// Entries of an open directory but "." and "..", sorted by bytes. Doesn't consume `directory`.
Result<std::vector<Name>> list(int directory);

Result<std::string> read_link(int directory, const std::string& name);

// Access and modification time at once; follows no link.
int set_times(int directory, const char* name, std::int64_t mtime_seconds,
              std::int32_t mtime_nanos = 0);

// Nanoseconds since 1970.
std::int64_t wall_now_ns();
// Nanoseconds since 1970 by the clock that the kernel stamps files with, which ticks: no file that
// is made or touched later has an earlier time.
std::int64_t stamp_now_ns();
std::int64_t to_ns(const timespec& time);

// Whether a text is UTF-8 without overlong forms and surrogates. BuildStream can't read trees with
// other names.
bool valid_utf8(std::string_view text);
// A text for messages, with "\\xHH" for control characters and for bytes that are no UTF-8.
std::string escaped(std::string_view text);

}  // namespace sluice::store::fs
