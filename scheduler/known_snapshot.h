// A snapshot with what is known about its elements now: what the next run of the session starts
// from.
//
// A snapshot that has just been read belongs to whoever read it: the store is asked about its
// elements before anybody else hears of it. Once a change of the journal has made it the session's
// (session_model.h), only changes of the journal alter it. What the store has said of artifacts and
// sources beyond their states is kept beside it, is no part of it, and is asked for again by
// whoever misses it.
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
#include "model/states.h"
#include "scheduler/graph.h"
#include "scheduler/state_digest.h"
#include "scheduler/store_view.h"

namespace sluice::scheduler {

using model::ArtifactState;
// What the store has of an element's sources. Values are written to the journal
// (RunStarted::states). kStageable: no job has to fetch them, for they are local or there are none;
// but BuildStream, which has not kept what they come to when staged together, would run one.
enum class SourcesState : std::uint8_t { kUnknown, kAbsent, kPresent, kStageable };

inline bool is_present(SourcesState state) {
  return state == SourcesState::kPresent || state == SourcesState::kStageable;
}

// What jobs are told of inputs that are in the store.
struct StoreAnswers {
  // by element; null: nobody asked, or it isn't there
  std::vector<std::unique_ptr<CachedArtifact>> artifacts;
  std::unordered_map<ElementIndex, model::Digest> sources;
};

struct KnownSnapshot {
  static Result<std::unique_ptr<KnownSnapshot>> read(const std::string& file);
  explicit KnownSnapshot(model::Snapshot from);

  std::string file;
  model::Snapshot snapshot;  // but for keys that a run has found out
  Graph graph;
  std::vector<ArtifactState> artifact;
  std::vector<SourcesState> sources;
  // SHA-256 of project files whose refs were changed after the snapshot was made.
  std::unordered_map<std::string, std::string> changed_files;
  // Elements whose artifact is cached and whose build tree, which is asked for, isn't.
  std::unordered_set<ElementIndex> lacks_buildtree;
  std::string packed_settings;
  mutable StoreAnswers answers;

  std::size_t size() const { return snapshot.elements.size(); }
  const model::Element& element(ElementIndex e) const { return snapshot.elements[e]; }
  const model::Project& project(ElementIndex e) const {
    return snapshot.projects[element(e).project];
  }
  std::optional<ElementIndex> find(std::string_view full_name) const;
  // Adds the state that changes; what is read from the file is told by its id.
  void add_to(StateDigest& digest) const;

  // Elements with the same keys keep what an earlier snapshot of the session knew of them.
  void carry_from(const KnownSnapshot& earlier);

  // Ask the store about elements, and note what it has. That something isn't there is an answer; an
  // error is none.
  Status query_artifacts(StoreView& store, const std::vector<ElementIndex>& elements);
  Status query_sources(StoreView& store, ElementIndex e);

  // Ask the store whether it has what is noted. Nothing is noted but the answers for jobs.
  Result<ArtifactState> ask_artifact(StoreView& store, ElementIndex e) const;
  Result<SourcesState> ask_sources(StoreView& store, ElementIndex e) const;

 private:
  Result<std::optional<CachedArtifact>> by_weak_key(StoreView& store, ElementIndex e) const;
  ArtifactState take_answer(ElementIndex e, std::optional<CachedArtifact> found) const;
};

}  // namespace sluice::scheduler
