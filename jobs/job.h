// A job process does a job, from its JobStart to its result. It has no ZeroMQ and one thread of its
// own; whatever goes wrong becomes a JobResult.
#pragma once

#include <memory>

#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/realise.h"
#include "wire/job_protocol.h"

namespace sluice::jobs {

// StoreInUse is a store with what a build needs of it, opened once by the process that job
// processes are forked from.
struct StoreInUse {
  StoreInUse(std::unique_ptr<store::Cas> opened, store::Realiser realise)
      : place(std::move(opened)), cas(*place), realiser(std::move(realise)) {}
  std::unique_ptr<store::Cas> place;  // stays where it is when this is moved
  store::Cas& cas;
  store::Realiser realiser;
};
Result<std::unique_ptr<StoreInUse>> open_store(const std::string& cachedir);

// JobPlace is what a job has of its host.
struct JobPlace {
  TokenEnds tokens;       // token_pool.h
  int memory_group = -1;  // memory_limit.h
};

// Reads a JobStart from `channel`, does it, with messages and the result over `channel`. `store`:
// used when it is the job's; else, and when it is null, the job's is opened. Returns the process's
// exit status, which isn't 0 when there was no job to read.
int serve_job(int channel, StoreInUse* store = nullptr, const JobPlace& place = {});

}  // namespace sluice::jobs
