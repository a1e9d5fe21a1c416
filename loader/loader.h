// The loader: a project directory, targets, options and the user's configuration in, a
// snapshot out. No sockets, no threads of its own, no state between calls.
//
// Loading is iterative: the answer is what was loaded, or what is still needed to go on
// (projects behind junctions that must be fetched first). The caller gets that and asks
// again with the same request.
//
// Errors carry BuildStream's domain and reason ("load", "missing-file") and the place in
// the user's file. What BuildStream has and Sluice hasn't yet is reason "unsupported" or
// "unsupported-plugin"; it is never passed over.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "loader/elements/element.h"
#include "loader/project/subprojects.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "project/user_config.h"

namespace sluice::loader {

// --deps: which elements of the pipeline are meant.
// kRedirect: the targets, but of filters the elements that they filter.
enum class Deps { kNone, kRun, kBuild, kAll, kRedirect };

struct LoadRequest {
  std::string directory;             // project.conf is looked for here and above
  std::vector<std::string> targets;  // empty: the project's default targets
  bool ignore_junctions = false;     // of those
  std::vector<std::pair<std::string, std::string>> options;  // --option NAME VALUE
  std::string config;                                        // --config; empty: the default files
  model::SettingsOverrides overrides;
  Deps deps = Deps::kAll;
  std::vector<std::string> except;  // --except, as `show` means it
  Bodies bodies;
  bool track = false;  // wire::LoadWanted
  bool cross_junctions = false;
  bool ignore_workspaces = false;
  // No elements: what every command finds out about the project. kComplete: also what only those
  // find out that have to do with elements, as far as it takes no project that isn't there; without
  // any project there is nothing to find out.
  enum class ProjectOnly { kNo, kFirst, kComplete } project_only = ProjectOnly::kNo;
};

using FindArtifact = std::function<Result<std::string>(
    const std::string& project, const std::string& element, const model::Keys& keys)>;

struct LoadHooks {
  // Called for each local source, while keys are made: the digest of a directory's
  // content, or of a directory with just the file. Sessions that build, fetch or shell
  // enter it into the store, so that key and content can't part; `show` only hashes.
  // Several threads may call it at a time, and pack_body too.
  DigestLocal digest_local;
  // The same for the directories of open workspaces, with the times of their files.
  DigestLocal digest_workspace;
  // For builds that aren't strict: the key of the artifact that is there for an element, of the
  // strict key or else of the weak one; "" when there is none. May be empty: there are none.
  FindArtifact find_artifact;
  // Puts a junction's sources from the store into a directory. May be empty: nothing is there.
  StageJunction stage_junction;
  // Notes what is looked at; may be null.
  std::shared_ptr<Lookups> lookups;
  // Packs a body as soon as it is complete, since unpacked ones take ten times the memory. May be
  // empty.
  std::function<std::string(const model::ElementBody&)> pack_body;
  // Takes each element as soon as it is complete, with its place: in their order, from 0 on, and
  // from 0 on again when loading had to begin anew. May be empty: then the snapshot has them.
  std::function<void(std::size_t, model::Element)> take_element;
};

struct LoadedSnapshot {
  model::Snapshot snapshot;  // without id; with packed bodies where somebody packs them
  // By element, where they were asked for and nobody packs them.
  std::vector<model::ElementBody> bodies;
  // What deps and except choose, in BuildStream's order.
  std::vector<model::ElementIndex> selection;
};

// Junctions whose projects have to be fetched before loading can go on.
struct Needs {
  struct Junction {
    std::string full_name;
    Provenance provenance;  // of who needs it
  };
  std::vector<Junction> junctions;
  // The junctions as elements, which can be fetched like others: they are the targets.
  LoadedSnapshot known;
};

using LoadAnswer = std::variant<LoadedSnapshot, Needs>;

Result<LoadAnswer> load(const LoadRequest& request, const LoadHooks& hooks);

}  // namespace sluice::loader
