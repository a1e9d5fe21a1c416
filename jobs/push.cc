#include "jobs/push.h"

#include "jobs/remotes.h"

namespace sluice::jobs {

namespace {

Result<Pushed> push(const JobData& data, const remote::RemoteRequest& request, const char* there, Reporter& reporter, Cancel& cancel) {
  auto reply = ask_remotes(data, request, reporter, cancel);
  if (!reply) return forward(reply);
  Pushed pushed{reply->done, {}};
  if (reply->done) return pushed;
  if (!reply->skipped.empty()) {
    pushed.why_not = reply->skipped.front();
  } else {
    pushed.why_not = reply->reached.empty() ? "No remote can be reached" : there;
  }
  return pushed;
}

}  // namespace

Result<Pushed> push_artifact(const JobData& data, Reporter& reporter, Cancel& cancel) {
  auto request = remote_request(data, "push-artifact");
  const model::Keys& keys = data.job.keys;
  for (const std::string* key : {&keys.full, &keys.strict, &keys.weak}) {
    // An artifact of another key is another artifact: the next is looked at only when this one isn't known.
    if (request.keys.empty() && !key->empty()) request.keys.push_back(*key);
  }
  if (request.keys.empty()) return fail("job", "bad-job", "The job has no key to push an artifact by");
  return push(data, request, "The remotes have the artifact already", reporter, cancel);
}

Result<Pushed> push_sources(const JobData& data, Reporter& reporter, Cancel& cancel) {
  auto request = remote_request(data, "push-sources");
  if (data.element.sources_key.empty()) return fail("job", "bad-job", "The job has no key to push sources by");
  request.keys = {data.element.sources_key};
  for (const model::Source& source : data.body.sources) request.sources.push_back({source.kind, source.key});
  return push(data, request, "The remotes have the sources already", reporter, cancel);
}

}  // namespace sluice::jobs
