// The loader's core: a project directory, targets, options and the user's configuration in, a
// snapshot out. It has no sockets and no state between calls; threads that a load starts end with
// it.
//
// Loading is iterative: the answer is what was loaded, or what is still needed to go on (projects
// behind junctions that must be fetched first). The caller gets that and asks again with the same
// request.
//
// Errors carry BuildStream's domain and reason ("load", "missing-file") and the place in the user's
// file. What BuildStream has and Sluice hasn't yet is an obstacle of its element (element.h), or an
// error that says so; it is never passed over.
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

// --deps: which elements of the pipeline are meant. kRedirect means the targets, but in place of
// filters the elements that they filter.
enum class Deps { kNone, kRun, kBuild, kAll, kRedirect };

struct LoadRequest {
  std::string directory;             // project.conf is looked for here and above
  std::vector<std::string> targets;  // empty: the project's default targets
  bool ignore_junctions = false;     // the default targets are those that aren't junctions
  std::vector<std::pair<std::string, std::string>> options;  // --option NAME VALUE
  std::string config;                                        // --config; empty: the default files
  model::SettingsOverrides overrides;
  Deps deps = Deps::kAll;
  std::vector<std::string> except;  // --except, as `show` means it
  Bodies bodies;
  bool track = false;  // as wire::LoadWanted has them, like the next
  bool cross_junctions = false;
  bool ignore_workspaces = false;
  // Whether only the project is loaded, without elements. kFirst finds out what every command does
  // about the project. kComplete finds out, too, what only those commands do that have to do with
  // elements, as far as it takes no project that isn't there; it is no error that there is no
  // project.
  enum class ProjectOnly { kNo, kFirst, kComplete } project_only = ProjectOnly::kNo;
};

using FindArtifact = std::function<Result<std::string>(
    const std::string& project, const std::string& element, const model::Keys& keys)>;

struct LoadHooks {
  // The digest of a local source, which is a directory's content, or a directory with just the
  // file. It is called for each local source while keys are made. Sessions that build, fetch or
  // shell enter the source into the store then, so that key and content can't part; `show` only
  // hashes. Several threads may call it at a time, and pack_body too.
  DigestLocal digest_local;
  // The digest of the directory of an open workspace, with the times of its files.
  DigestLocal digest_workspace;
  // The key of the artifact that is there for an element, under its strict or else its weak key; ""
  // when there is none. It is called in builds that aren't strict. May be empty: then there are
  // none.
  FindArtifact find_artifact;
  // Puts a junction's sources from the store into a directory. May be empty: nothing is there.
  StageJunction stage_junction;
  // Where everything that is looked at is noted; may be null.
  std::shared_ptr<Lookups> lookups;
  // Packs a body as soon as it is complete, since unpacked ones take ten times the memory. May be
  // empty.
  std::function<std::string(const model::ElementBody&)> pack_body;
  // Takes each element as soon as it is complete, with its index: in their order from 0 on, and
  // from 0 on again when loading had to begin anew. May be empty: then the snapshot has them.
  std::function<void(std::size_t, model::Element)> take_element;
};

struct LoadedSnapshot {
  model::Snapshot snapshot;  // without id; with packed bodies where somebody packs them
  // The bodies by element, where they were asked for and pack_body is empty.
  std::vector<model::ElementBody> bodies;
  // The elements that deps and except choose, in BuildStream's order.
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
