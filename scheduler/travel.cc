#include "scheduler/travel.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/try.h"
#include "model/names.h"
#include "model/source_kinds.h"

namespace sluice::scheduler {

Status StoreView::adopt(const Adoption& wanted, const model::Digest&) {
  return fail("remote", "bad-result", "Nothing is taken from elsewhere here: " + wanted.element);
}

Status StoreView::keep_log(const model::Digest&, std::string_view, const std::string&) {
  return {};
}

Result<std::optional<model::Digest>> StoreView::message_of(const ArtifactName&) {
  return std::nullopt;
}

namespace {

bool secret(const std::string& url) { return without_credentials(url) != url; }

bool secret(const std::vector<std::string>& urls) {
  return std::any_of(urls.begin(), urls.end(), [](const std::string& url) { return secret(url); });
}

bool secret(const model::Node& node) {
  return secret(node.scalar) ||
         std::any_of(node.list.begin(), node.list.end(),
                     [](const model::Node& one) { return secret(one); }) ||
         std::any_of(node.map.begin(), node.map.end(),
                     [](const auto& entry) { return secret(entry.second); });
}

// Whether somebody who is told of the source learns a password or a token.
bool secret(const model::Source& source) {
  return secret(source.url) || secret(source.original_url) || secret(source.urls) ||
         secret(source.track_urls) || secret(source.config) ||
         std::any_of(source.more_urls.begin(), source.more_urls.end(),
                     [](const model::SourceUrl& one) {
                       return secret(one.original_url) || secret(one.urls);
                     });
}

}  // namespace

std::string why_it_stays(model::Action action, const model::ElementBody& body,
                         const std::vector<wire::SourceList>& dependency_sources) {
  if (action != model::Action::kBuild) return "only builds are done elsewhere";
  if (!body.plugin.file.empty())
    return fmt::format("its kind is a plugin, {}, which is on this machine", body.plugin.file);
  for (const model::Source& source : body.sources) {
    if (secret(source))
      return fmt::format("a URL of its {} source has credentials in it", source.kind);
  }
  for (const wire::SourceList& list : dependency_sources) {
    for (const model::Source& source : list.sources) {
      if (secret(source))
        return fmt::format("it tells of a {} source whose URL has credentials in it", source.kind);
      if (!source.plugin.file.empty())
        return fmt::format("it tells of sources of a plugin, {}, which is on this machine",
                           source.plugin.file);
      const model::SourceTraits& traits = model::traits(source);
      if (traits.reads_project && traits.changes_previous)
        return fmt::format("it tells of {} sources, whose files are on this machine", source.kind);
    }
  }
  return {};
}

Result<std::vector<wire::JobInput>> further_inputs(StoreView& store, const std::string& project,
                                                   const std::string& element,
                                                   const model::ElementBody& body,
                                                   const wire::Job& job) {
  std::vector<wire::JobInput> inputs;
  if (!job.sources.empty()) return inputs;
  for (const model::Source& source : body.sources) {
    if (model::traits(source).imported && !source.local_digest.empty())
      inputs.push_back({"tree", {}, source.local_digest});
  }
  if (!model::has_workspace(body)) return inputs;
  const std::string last = body.sources.front().config.get_string("last_build");
  if (last.empty()) return inputs;
  // Without its build tree the build is none that goes on from it, here neither.
  const auto message = TRY(store.message_of({project, element, last}));
  if (message)
    inputs.push_back(
        {"artifact", "artifacts/refs/" + model::artifact_ref(project, element, last), *message});
  return inputs;
}

}  // namespace sluice::scheduler
