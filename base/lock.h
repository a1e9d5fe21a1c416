// Locks among the processes of one user: flock(2) on a file that only its owner can open. Whoever
// can open a file or a directory, if only for reading, can hold its lock and stop all who wait for
// it: so a lock that is waited for never lies on what strangers may open. It ends with its
// descriptor, however the process ends. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace sluice {

enum class LockMode { kShared, kExclusive };
enum class LockWait { kWait, kTry };

// On the file at `path`, which is made with mode 0600 when it is absent; the directory isn't, and
// without it the error's reason is "enoent". std::nullopt: kTry, and another process holds it. What
// is locked is what lies at `path` then: a file that was renamed or replaced meanwhile is left, and
// the new one taken.
Result<std::optional<UniqueFd>> lock_own_file(const std::string& path, LockMode mode,
                                              LockWait wait);

// Waits for the lock of `what` ("refs") on a directory that is there and that others may be able to
// open, as a project's: it lies on a file in state_home()/locks.
Result<UniqueFd> lock_for(std::string_view what, const std::string& directory);
// lock_for() without waiting; std::nullopt: another process holds it.
Result<std::optional<UniqueFd>> try_lock_for(std::string_view what, const std::string& directory);

}  // namespace sluice
