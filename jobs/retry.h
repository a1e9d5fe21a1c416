// Retries of network tasks: --network-retries, scheduler.network-retries of the user configuration.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "jobs/names.h"

namespace sluice::elements {
class Reporter;
}
namespace sluice::sandbox {
class Cancel;
}

namespace sluice::jobs {

// The time from the `attempt`th failure (from 1) to the next try: half a second, doubled each
// time, a minute at most, and up to a quarter more by `chance` (0 to 1), so that jobs that failed
// together don't come back together.
Duration retry_delay(unsigned attempt, double chance);

// Says that the try failed and when the next one comes, and waits until then. An error when the
// job was killed meanwhile. The message is BuildStream's, which tries again at once.
Status wait_for_retry(unsigned attempt, const Error& error, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
