#include "wire/job_messages.h"

#include <utility>

#include "base/text.h"

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
SLUICE_CODERS(, Watch);
SLUICE_CODERS(, Progress);
SLUICE_CODERS(, Drain);
SLUICE_CODERS(, Goodbye);
SLUICE_CODERS(, RunnerInfo);
SLUICE_CODERS(, RunnerList);
SLUICE_CODERS(, RunnerArguments);

namespace {

// Calls f(text, most bytes) for each text.
template <typename Result, typename F>
void each_text(Result& result, F&& f) {
  constexpr std::size_t kMostWord = 4096;
  f(result.log_file, kMostWord);
  f(result.log_tail, kMostLogTail);
  if (!result.error) return;
  f(result.error->message, kMostErrorText);
  f(result.error->detail, kMostErrorText);
  for (auto* word : {&result.error->domain, &result.error->reason, &result.error->file,
                     &result.error->subject, &result.error->introduction})
    f(*word, kMostWord);
}

}  // namespace

void limit_texts(JobResult& result) {
  each_text(result, [](std::string& text, std::size_t most) { limit_text(text, most); });
}

std::size_t text_bytes(const JobResult& result) {
  std::size_t bytes = 0;
  each_text(result, [&](const std::string& text, std::size_t) { bytes += text.size(); });
  return bytes;
}

}  // namespace sluice::wire
