#include "wire/record_file.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/append_log.h"
#include "base/file.h"
#include "base/try.h"

namespace sluice::wire {

Result<std::uint64_t> read_records(const SessionPaths& paths, std::uint64_t from,
                                   const std::function<bool(std::string_view packed)>& take) {
  if (!path_exists(paths.record_log()))
    return fail("app", "no-session", fmt::format("There is no session '{}'", paths.id));
  auto log = TRY(AppendLogReader::open(paths.record_log()));
  for (std::uint64_t cursor = 1;; ++cursor) {
    const std::string_view record = TRY(log.next());
    if (record.empty() || (cursor >= from && !take(record))) return std::max(cursor, from);
  }
}

}  // namespace sluice::wire
