#include "jobs/retry.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <poll.h>
#include <sys/random.h>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"

namespace sluice::jobs {

namespace {

constexpr Duration kFirst = std::chrono::milliseconds(500);
constexpr Duration kLongest = std::chrono::minutes(1);

}  // namespace

Duration retry_delay(unsigned attempt, double chance) {
  Duration delay = kFirst;
  for (unsigned i = 1; i < attempt && delay < kLongest; ++i) delay *= 2;
  delay = std::min(delay, kLongest);
  return delay +
         std::chrono::duration_cast<Duration>(delay * (0.25 * std::clamp(chance, 0.0, 1.0)));
}

Status wait_for_retry(unsigned attempt, const Error& error, Reporter& reporter, Cancel& cancel) {
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = 0;
  const Duration delay = retry_delay(attempt, random / 4294967296.0);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
  reporter.message(Level::kFailure, fmt::format("Try #{} failed, retrying", attempt),
                   fmt::format("{}\nThe next try comes in {}.{} s", error.message,
                               milliseconds / 1000, milliseconds % 1000 / 100));
  reporter.flush();
  const Duration until = system_clock().monotonic() + delay;
  for (Duration left = delay; left > Duration::zero(); left = until - system_clock().monotonic()) {
    pollfd fd{cancel.fd(), POLLIN, 0};
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
    if (::poll(&fd, 1, static_cast<int>(wait)) < 0 && errno != EINTR)
      return fail_errno(errno, "poll");
    CHECK(cancel.check());
  }
  return {};
}

}  // namespace sluice::jobs
