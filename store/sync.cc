#include "store/sync.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

namespace sluice::store {

Status sync(const std::string& cachedir) {
  const UniqueFd fd(::open(cachedir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, cachedir);
  // Whatever the kernel had before this instant is durable after syncfs.
  const std::int64_t begun = system_clock().wall_ns();
  if (::syncfs(fd.get()) != 0) return fail_errno(errno, "syncfs of the store");
  return write_file_atomic(cachedir + "/sluice/synced", std::to_string(begun) + "\n");
}

bool SyncLimiter::allow(std::int64_t monotonic_ns) {
  if (last_ >= 0 && monotonic_ns - last_ < 100'000'000) return false;
  last_ = monotonic_ns;
  return true;
}

}  // namespace sluice::store
