// A snapshot with what is known about its elements now: what the next run of the
// session starts from. Only changes of the journal touch it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "scheduler/graph.h"
#include "scheduler/store_view.h"

namespace sluice::scheduler {

// Values are written to the journal (RunStarted::states).
enum class ArtifactState : std::uint8_t { kUnknown, kAbsent, kCached, kFailed };
// kStageable: no job has to fetch them, for they are local or there are none; but BuildStream, which has not kept what
// they come to when staged together, would run one.
enum class SourcesState : std::uint8_t { kUnknown, kAbsent, kPresent, kStageable };

inline bool is_present(SourcesState state) { return state == SourcesState::kPresent || state == SourcesState::kStageable; }

struct Loaded {
  static Result<std::unique_ptr<Loaded>> read(const std::string& file);
  explicit Loaded(model::Snapshot from);

  std::string file;
  model::Snapshot snapshot;
  Graph graph;
  std::vector<ArtifactState> artifact;
  std::vector<SourcesState> sources;
  // Of cached and failed artifacts, as far as somebody asked.
  std::vector<std::unique_ptr<CachedArtifact>> info;
  std::unordered_map<ElementIndex, model::Digest> source_digest;
  // SHA-256 of project files whose refs were changed after the snapshot was made.
  std::unordered_map<std::string, std::string> changed_files;
  // Cached artifacts whose build tree isn't, when it is asked for.
  std::unordered_set<ElementIndex> lacks_buildtree;
  std::string packed_settings;

  std::size_t size() const { return snapshot.elements.size(); }
  const model::Element& element(ElementIndex e) const { return snapshot.elements[e]; }
  const model::Project& project(ElementIndex e) const { return snapshot.projects[element(e).project]; }
  std::optional<ElementIndex> find(std::string_view full_name) const;

  // Elements with the same keys keep what an earlier snapshot of the session knew of them.
  void carry_from(const Loaded& earlier);

  // Ask the store about an element; "not there" is an answer, an error is none.
  Status query_artifact(StoreView& store, ElementIndex e);
  Status query_artifacts(StoreView& store, const std::vector<ElementIndex>& elements);
  Status query_sources(StoreView& store, ElementIndex e);

 private:
  Status take_answer(StoreView& store, ElementIndex e, Result<std::optional<CachedArtifact>> found);
};

}  // namespace sluice::scheduler
