#include "elements/build_root.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "model/source_kinds.h"
#include "store/artifact.h"
#include "store/directory.h"
#include "store/sources.h"

namespace sluice::elements {

BuildRoot::BuildRoot(const JobData& data, store::Cas& cas, Reporter& reporter,
                     sandbox::Cancel& cancel)
    : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel), tree_(cas),
      staging_(cas, reporter, data.element.fatal_warnings) {}

Status BuildRoot::stage(const Selection& selection, std::string_view location,
                        const SplitRules::Choice* choice) {
  CHECK(cancel_.check());
  return staging_.stage(tree_, selection, location, choice);
}

Status BuildRoot::stage_sources(std::string_view directory) {
  Reporter::Activity activity(reporter_, "Staging sources");
  CHECK(cancel_.check());
  CHECK(tree_.make_directory(directory));
  const auto names = TRY(tree_.names(directory));
  if (!names.empty()) {
    return fail("element", "staging-not-empty",
                fmt::format("Staging directory '{}' is not empty", directory));
  }
  const model::Digest whole = TRY(sources());
  const auto incremental = TRY(last_build(whole));
  CHECK(tree_.merge(incremental.value_or(whole), directory));
  activity.success();
  return {};
}

Result<model::Digest> BuildRoot::sources() {
  if (!data_.job.sources.empty()) return data_.job.sources;
  if (data_.body.sources.empty()) return store::empty_digest();
  // A workspace's files entered the store while keys were made.
  if (data_.workspaced()) return data_.body.sources.front().local_digest;
  store::SourceRefs refs(cas_);
  if (auto found = TRY(refs.lookup_element(data_.element.sources_key))) return *found;
  // Local sources entered the store while keys were made; what is missing is their common root.
  const auto local = [](const model::Source& source) {
    return model::traits(source).imported && !source.local_digest.empty();
  };
  if (join_sources_ && std::all_of(data_.body.sources.begin(), data_.body.sources.end(), local))
    return join_sources_();
  return fail("source", "missing-sources",
              fmt::format("The sources of {} are not in the cache; they must be fetched first",
                          data_.element.full_name));
}

// The build tree that the last build of the workspace left, with what has changed in the workspace
// since: unless its dependencies are others, or the cache has no build tree of it any more.
Result<std::optional<model::Digest>> BuildRoot::last_build(const model::Digest& sources) {
  if (!data_.workspaced()) return std::nullopt;
  const std::string key = data_.body.sources.front().config.get_string("last_build");
  if (key.empty()) return std::nullopt;
  store::Artifacts artifacts(cas_);
  const auto last = TRY(artifacts.lookup(data_.element.project, data_.element.name, key));
  if (!last || last->buildtree.empty() || last->sources.empty()) return std::nullopt;
  if (!artifacts.tree_complete(last->buildtree) || !artifacts.tree_complete(last->sources))
    return std::nullopt;
  const auto& before = last->build_deps;
  const auto& now = data_.job.dependencies;
  const bool same = std::equal(
      before.begin(), before.end(), now.begin(), now.end(), [](const auto& one, const auto& other) {
        return store::artifact_ref(one.project, one.element, one.key) ==
               store::artifact_ref(other.project, other.element, other.key);
      });
  if (!same) return std::nullopt;
  reporter_.message(Level::kInfo, "Incremental build");
  auto tree = TRY(store::Tree::open(cas_, last->buildtree));
  CHECK(tree.apply_changes(last->sources, sources));
  return TRY(tree.store(cas_));
}

Result<model::Digest> BuildRoot::subsandbox(const Selection& selection) {
  store::Tree tree(cas_);
  Staging staging(cas_, reporter_, data_.element.fatal_warnings);
  CHECK(staging.stage(tree, selection, "/"));
  auto digest = TRY(tree.store(cas_));
  subsandboxes_.push_back(digest);
  return digest;
}

}  // namespace sluice::elements
