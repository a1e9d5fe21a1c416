// Staging puts the artifacts of dependencies into a root, as BuildStream does
// (Element.stage_dependency_artifacts and _overlapcollector.py): in staging order, later
// over earlier, with warnings about what overlaps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/glob.h"
#include "base/result.h"
#include "elements/split_rules.h"
#include "model/model.h"
#include "store/tree.h"

namespace sluice::elements {

class Reporter;

using Selection = std::vector<const model::ArtifactRef*>;

// The artifacts `direct` with all that they need at run time, in staging order. An index that is
// not among `all` is a job that contradicts itself: "job"/"bad-job".
Result<Selection> runtime_closure(const std::vector<model::ArtifactRef>& all,
                                  const std::vector<model::ElementIndex>& direct);
Selection everything(const std::vector<model::ArtifactRef>& all);

// The public data of a dependency's artifact, never the snapshot's.
Result<model::Node> public_data_of(const store::Cas& cas, const model::ArtifactRef& artifact);
// The same; std::nullopt, and nothing is parsed, when the text can't have `key`.
Result<std::optional<model::Node>> public_data_with(const store::Cas& cas,
                                                    const model::ArtifactRef& artifact,
                                                    std::string_view key);

// One domain of that, a map; std::nullopt when the artifact hasn't got it. ("load", "invalid-data")
// when it is something else.
Result<std::optional<model::Node>> public_domain(const store::Cas& cas,
                                                 const model::ArtifactRef& artifact,
                                                 std::string_view domain);

// The first characters of a key, as messages show it: "12345678" of "123456789abc...".
std::string brief_key(const std::string& key);

// What happens when files that are staged replace some of earlier stagings (BuildStream's
// OverlapAction).
enum class OverlapAction : std::uint8_t { kWarning, kError, kIgnore };

// One root's staging: later stagings are compared with earlier ones.
class Staging {
 public:
  // All referred to must outlive it.
  Staging(store::Cas& cas, Reporter& reporter, const std::vector<std::string>& fatal_warnings)
      : cas_(cas), reporter_(reporter), fatal_warnings_(fatal_warnings) {}

  // Stages artifacts at `location`, absolute; of each what `choice` selects, if it is given. Fails
  // with reason "overlaps" or "unstaged-files" (domain "plugin") when the project makes that fatal,
  // "element"/"overlaps" as `action` asks, and with the store's errors. `last`, where it is given,
  // tells of the last artifact.
  Status stage(store::Tree& root, const Selection& selection, std::string_view location,
               const SplitRules::Choice* choice = nullptr,
               OverlapAction action = OverlapAction::kWarning, store::MergeReport* last = nullptr);

 private:
  struct Staged {
    const model::ArtifactRef* artifact;
    std::optional<std::unordered_set<std::string>> chosen;  // all when there is none
  };
  struct Session {
    std::string location;
    OverlapAction action = OverlapAction::kWarning;
    std::vector<Staged> staged;
  };
  Status warn_about(const Session& session,
                    const std::vector<std::pair<std::string, std::vector<std::size_t>>>& overlaps,
                    const std::vector<std::pair<std::size_t, std::vector<std::string>>>& ignored);
  Status warn(std::string_view token, std::string_view text, const std::string& detail);
  bool has_file(const Staged& staged, const std::string& path);
  Result<bool> whitelisted(const model::ArtifactRef& artifact, const std::string& path);

  store::Cas& cas_;
  Reporter& reporter_;
  const std::vector<std::string>& fatal_warnings_;
  std::vector<Session> sessions_;
  std::map<const model::ArtifactRef*, store::Tree> trees_;
  std::map<const model::ArtifactRef*, GlobSet> whitelists_;
};

}  // namespace sluice::elements
