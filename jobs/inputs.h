// What a runner that has a store of its own makes of a job before it does it. What the process of a
// build looks up in its store comes from the session's, as names of blobs.
#pragma once

#include <string>
#include <vector>

#include "wire/job_messages.h"

namespace sluice::jobs {

// What the job's dependencies and sources are, and what it lists besides: of an artifact that is
// staged its files, public data and the environment of its integration commands. Each once.
std::vector<wire::JobInput> inputs_of(const wire::Job& job);

// Why a runner that has a store of its own doesn't do a job, whoever gives it: it isn't one for it,
// or would reach out of its directories and sandboxes (spec/jobs.md, J100); "": it does it.
std::string why_not_here(const wire::Job& job);

// Makes the error one of the way between two stores, which is no element's fault; its reason stays.
void blame_machine(wire::ErrorBody& error);

}  // namespace sluice::jobs
