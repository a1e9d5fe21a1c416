// What differs between what two keys of an element were made of.
//
// An artifact that Sluice built has its key inputs kept beside it (store/key_inputs.h), and is
// compared entry by entry. Of any other there is what BuildStream puts into artifacts: keys,
// dependencies with their keys, variables, environment, sandbox and public data; its weak key tells
// whether anything but dependencies changed.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/cache_key_changes.h"
#include "cli/changed_files.h"
#include "store/artifact.h"
#include "store/cas.h"

namespace sluice::cli {

struct DependencyChange {
  std::string name;           // full name; of one that is gone, its name in its project
  std::string how;            // key | added | removed | order
  std::string before, after;  // keys; "" where there is none
};

// An element now, or a later artifact, beside an artifact of it.
struct Comparison {
  bool inputs_kept = false;  // compared entry by entry
  bool same_weak_key = false;
  std::vector<Change> changes;  // of what it says itself
  // The changed files of local sources, by the position of their change in `changes`.
  std::map<std::size_t, ChangedFiles> files;
  std::vector<Change> variables;  // that differ; no part of keys, they say where changes come from
  std::vector<DependencyChange> dependencies;
  // Where the change may be besides, of what an artifact doesn't hold. Empty: everything is known.
  std::vector<std::string> unknown;

  // Something but keys of dependencies changed.
  bool own() const;
};

// The JSON that an artifact's key was made of, when it was kept and is what the key says;
// std::nullopt when it can't be had, or not any more.
Result<std::optional<std::string>> kept_inputs(const store::Cas& cas,
                                               const store::ArtifactInfo& artifact);

// What of an artifact says of its key, where the inputs of that aren't kept: environment, sandbox
// and public data. `nocache`: the names of the environment that are in no key.
std::vector<Change> compare_meta(const store::ArtifactMeta& before,
                                 const store::ArtifactMeta& after,
                                 const std::vector<std::string>& nocache);
// The parts of a key that compare_meta() says nothing of.
std::vector<std::string> unknown_parts();

// What an element is built with now, or what a later artifact was built with.
struct BuiltWith {
  std::string_view project, name;  // in its project
  std::string_view shown;          // what people are told of it
  std::string_view key;
};
// What of that differs from what an artifact was built with: dependencies and their keys, or else
// their order alone.
std::vector<DependencyChange> compare_dependencies(
    const std::vector<store::ArtifactInfo::Dependency>& before, const std::vector<BuiltWith>& now);

// Two artifacts, perhaps of two elements. `now`: the element that `after` is of, for the names of
// fields of its sources; null when nobody knows it.
Result<Comparison> compare_artifacts(const store::Cas& cas, const store::ArtifactInfo& before,
                                     const store::ArtifactInfo& after,
                                     const model::ElementBody* now);

}  // namespace sluice::cli
