// Caches on other machines, for a job: sluice-remote is run, and its notes become the job's
// messages.
#pragma once

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "wire/remote_protocol.h"

namespace sluice::jobs {

// A request in the job's name: its store, its remotes, its element.
wire::RemoteRequest remote_request(const JobData& data, std::string verb);

// Runs sluice-remote, and again (settings.network_retries) while its error may be gone later.
// Errors: domain "remote" (wire/remote_protocol.h), those of the store; "job"/"killed".
Result<wire::RemoteReply> ask_remotes(const JobData& data, const wire::RemoteRequest& request,
                                      Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
