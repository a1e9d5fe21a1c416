// What a job process does, from the job it was given to its result. It has no ZeroMQ
// and one thread of its own; whatever goes wrong becomes a JobResult.
#pragma once

#include <memory>

#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/realise.h"
#include "wire/job_protocol.h"

namespace sluice::jobs {

// A store with what a build needs of it, opened once by the process that job processes are
// forked from.
struct StoreInUse {
  StoreInUse(std::unique_ptr<store::Cas> opened, store::Realiser realise)
      : place(std::move(opened)), cas(*place), realiser(std::move(realise)) {}
  std::unique_ptr<store::Cas> place;
  store::Cas& cas;
  store::Realiser realiser;
};
Result<std::unique_ptr<StoreInUse>> open_store(const std::string& cachedir);

// What a job has of its host.
struct JobPlace {
  TokenEnds tokens;       // see JobStart
  int memory_group = -1;  // memory_limit.h
};

// Reads a JobStart from `channel`, does it, with messages and the result over `channel`. `store`:
// used when it is the job's; nullptr: it is opened. The process's exit status: not 0 when there was
// no job to read.
int serve_job(int channel, StoreInUse* store = nullptr, const JobPlace& place = {});

}  // namespace sluice::jobs
