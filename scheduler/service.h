// Joins the core to its links: the jobs socket, control, records, live events, the supervisor's
// line, the journal. One reactor thread.
#pragma once

#include "wire/session.h"

namespace sluice::scheduler {

// Runs until the session's end; the program's exit status.
int serve(const wire::ServiceOptions& options);

}  // namespace sluice::scheduler
