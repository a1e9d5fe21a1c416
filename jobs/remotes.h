// Caches on other machines, for a job: sluice-remote is run, its notes become the job's messages.
#pragma once

#include "base/result.h"
#include "jobs/build.h"
#include "remote/protocol.h"

namespace sluice::jobs {

// A request in the job's name: its store, its remotes, its element.
remote::RemoteRequest remote_request(const JobData& data, std::string verb);

// Runs it, and again (settings.network_retries) while an error may be otherwise later. Errors: domain "remote"
// (remote/protocol.h), those of the store; "job"/"killed".
Result<remote::RemoteReply> ask_remotes(const JobData& data, const remote::RemoteRequest& request, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
