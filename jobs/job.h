// What a job process does, from the job it was given to its result. It has no ZeroMQ
// and one thread of its own; whatever goes wrong becomes a JobResult.
#pragma once

#include "jobs/job_protocol.h"
#include "jobs/sandbox.h"

namespace sluice::jobs {

// `channel`: the job's end of the socket to its runner, for messages; notes are read from it.
wire::JobResult run_job(const JobStart& start, int channel, Cancel& cancel);

// Reads a JobStart from `channel`, does it, writes the result. The process's exit status.
int serve_job(int channel);

}  // namespace sluice::jobs
