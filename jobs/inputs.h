// What the process of a build looks up in its store, as names of blobs: the runner that has a store
// of its own has them come from the session's.
#pragma once

#include <vector>

#include "wire/job_messages.h"

namespace sluice::jobs {

// What the job's dependencies and sources are, and what it lists besides: of an artifact that is
// staged its files, public data and the environment of its integration commands. Each once.
std::vector<wire::JobInput> inputs_of(const wire::Job& job);

}  // namespace sluice::jobs
