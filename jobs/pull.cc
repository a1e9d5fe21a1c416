#include "jobs/pull.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "jobs/remotes.h"
#include "model/source_kinds.h"
#include "store/artifact.h"
#include "store/downloads.h"
#include "store/sources.h"

namespace sluice::jobs {

Result<std::optional<model::ArtifactRef>> pull_artifact(const JobData& data, store::Cas& cas,
                                                        Reporter& reporter, Cancel& cancel) {
  auto request = remote_request(data, "pull-artifact");
  const model::Keys& keys = data.job.keys;
  request.buildtree = data.settings.pull_buildtrees;
  // An artifact that is known by its name alone may have no other key.
  for (const std::string* key : {&keys.strict, &keys.full, &keys.weak}) {
    if (key->empty() || (key == &keys.weak && data.settings.strict && !request.keys.empty()))
      continue;
    if (request.keys.empty() || request.keys.back() != *key) request.keys.push_back(*key);
  }
  if (request.keys.empty())
    return fail("job", "bad-job", "The job has no key to pull an artifact by");
  auto reply = ask_remotes(data, request, reporter, cancel);
  if (!reply) {
    if (reply.error().domain == "remote") reply.error().domain = "artifact";
    return forward(reply);
  }
  for (const std::string& skipped : reply->skipped) reporter.message(Level::kWarn, skipped);
  if (!reply->done) return std::nullopt;
  auto info = TRY(store::Artifacts(cas).lookup(request.project, request.element, reply->key));
  if (!info) {
    return fail("artifact", "missing-artifact",
                fmt::format("The artifact {} was pulled, but is not in the store", reply->key));
  }
  model::ArtifactRef ref;
  ref.project = request.project;
  ref.element = request.element;
  ref.full_name = data.element.full_name;
  ref.key = info->strong_key;
  ref.weak_key = info->weak_key;
  ref.files = info->files;
  ref.public_data = info->public_data;
  ref.low_diversity_meta = info->low_diversity_meta;
  return std::optional<model::ArtifactRef>(std::move(ref));
}

Status pull_sources(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  if (data.job.remotes.empty() || data.element.sources_key.empty()) return {};
  store::SourceRefs refs(cas);
  auto request = remote_request(data, "pull-sources");
  for (const model::Source& source : data.body.sources) {
    auto known = TRY(refs.lookup_source(source.kind, source.key));
    const std::string download = store::download_path(data.settings, source);
    if (known || model::traits(source).imported || (!download.empty() && path_exists(download)))
      continue;
    request.sources.push_back({source.kind, source.key});
  }
  if (request.sources.empty()) return {};
  request.keys = {data.element.sources_key};
  auto reply = ask_remotes(data, request, reporter, cancel);
  if (reply) return {};
  if (reply.error().domain != "remote") return forward(reply);
  reporter.message(Level::kWarn, fmt::format("Sources can't be pulled: {}", reply.error().message),
                   reply.error().detail);
  return {};
}

}  // namespace sluice::jobs
