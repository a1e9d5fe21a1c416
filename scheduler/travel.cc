#include "scheduler/travel.h"

#include <fmt/format.h>

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

std::string why_it_stays(model::Action action, const model::ElementBody& body,
                         const std::vector<wire::SourceList>& dependency_sources) {
  if (action != model::Action::kBuild) return "only builds are done elsewhere";
  if (!body.plugin.file.empty())
    return fmt::format("its kind is a plugin, {}, which is on this machine", body.plugin.file);
  for (const wire::SourceList& list : dependency_sources) {
    for (const model::Source& source : list.sources) {
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
