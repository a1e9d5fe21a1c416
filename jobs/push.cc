#include "jobs/push.h"

#include "jobs/remotes.h"

namespace sluice::jobs {

namespace {

Result<bool> push(const JobData& data, const wire::RemoteRequest& request, const char* domain,
                  Reporter& reporter, Cancel& cancel) {
  auto reply = ask_remotes(data, request, reporter, cancel);
  if (reply) return reply->done;
  Error error = std::move(reply.error());
  if (error.domain != "remote") return tl::unexpected<Error>(std::move(error));
  const bool incomplete = error.reason == "incomplete-artifact";
  if (incomplete && data.job.skip_incomplete) {
    constexpr std::string_view kFailed = "Push failed: ";
    if (error.message.starts_with(kFailed)) error.message.erase(0, kFailed.size());
    reporter.message(Level::kInfo, "Not pushing: " + error.message);
    return false;
  }
  error.domain = incomplete || error.reason == "not-cached" ? "element" : domain;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

Result<bool> push_artifact(const JobData& data, Reporter& reporter, Cancel& cancel) {
  auto request = remote_request(data, "push-artifact");
  const model::Keys& keys = data.job.keys;
  for (const std::string* key : {&keys.full, &keys.strict, &keys.weak}) {
    // An artifact of another key is another artifact: the next key counts only when this one isn't
    // known.
    if (request.keys.empty() && !key->empty()) request.keys.push_back(*key);
  }
  if (request.keys.empty())
    return fail("job", "bad-job", "The job has no key to push an artifact by");
  return push(data, request, "artifact", reporter, cancel);
}

Result<bool> push_sources(const JobData& data, Reporter& reporter, Cancel& cancel) {
  auto request = remote_request(data, "push-sources");
  if (data.element.sources_key.empty())
    return fail("job", "bad-job", "The job has no key to push sources by");
  request.keys = {data.element.sources_key};
  for (const model::Source& source : data.body.sources)
    request.sources.push_back({source.kind, source.key});
  return push(data, request, "sandbox", reporter, cancel);
}

}  // namespace sluice::jobs
