#include "wire/job_messages.h"

namespace sluice::wire {

SLUICE_CODERS(, JobId);
SLUICE_CODERS(, RunnerHello);
SLUICE_CODERS(, JobInput);
SLUICE_CODERS(, Job);
SLUICE_CODERS(, JobElement);
SLUICE_CODERS(, SourceList);
SLUICE_CODERS(, JobBatch);
SLUICE_CODERS(, StartedJob);
SLUICE_CODERS(, Started);
SLUICE_CODERS(, NewRef);
SLUICE_CODERS(, JobResult);
SLUICE_CODERS(, Results);
SLUICE_CODERS(, ResultAck);
SLUICE_CODERS(, Cancel);
SLUICE_CODERS(, RunnerBeat);
SLUICE_CODERS(, Suspend);
SLUICE_CODERS(, Resume);
SLUICE_CODERS(, JobLimits);
SLUICE_CODERS(, Drain);
SLUICE_CODERS(, Goodbye);
SLUICE_CODERS(, RunnerInfo);
SLUICE_CODERS(, RunnerList);
SLUICE_CODERS(, RunnerArguments);

}  // namespace sluice::wire
