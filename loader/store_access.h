// The store as a load uses it: local sources are entered into it or only hashed, artifacts are
// looked up, the sources of junctions are staged from it. It is opened when the first of that needs
// it, for `show` mostly does without.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/cache/local_cache.h"
#include "loader/elements/element.h"
#include "model/model.h"
#include "store/artifact_names.h"
#include "store/cas.h"
#include "store/directory.h"
#include "wire/messages.h"

namespace sluice::loader {

// Digests may be asked for by several threads at a time; all else is for one.
class StoreAccess {
 public:
  // `import`: local sources are entered into the store, not just hashed. `cachedir` is where the
  // store is, `project` the project's directory, by which digests are remembered (local_cache.h).
  StoreAccess(bool import, std::string cachedir, const std::string& project)
      : import_(import), cachedir_(std::move(cachedir)), digests_(project) {}

  // The digest of the tree that a local source at `path`, which is absolute, comes to. It stays the
  // same for as long as this lives.
  Result<model::Digest> digest(const std::string& path);
  // The digest of the tree that an open workspace comes to, as BuildStream imports it: with the
  // times of everything but the directory itself.
  Result<model::Digest> workspace_digest(const std::string& path);
  // Keeps the digests for the next load.
  void save() { digests_.save(); }

  // Which failed builds count as artifacts: those that are shown, those that a build takes in place
  // of its own, none.
  enum class Failures : std::uint8_t { kAll, kOfTheSameDependencies, kNone };
  // The strong key of the artifact that is there under an element's strict or else its weak key; ""
  // when there is none.
  Result<std::string> find_artifact(const std::string& project, const std::string& element,
                                    const model::Keys& keys, Failures failures);

  // The artifacts that `arguments.what.artifacts` mean. When build dependencies are asked for and
  // artifacts that would tell them aren't there, those are the result, and their refs are added to
  // `unknown`: they have to be pulled first. Errors: stream/deps-not-supported, and those of
  // store::resolve_names().
  Result<std::vector<store::NamedArtifact>> named_artifacts(const wire::LoadArguments& arguments,
                                                            std::vector<std::string>& unknown,
                                                            std::vector<std::string>& warnings);

  // Puts a junction's sources into `directory`, from the store or, where all of them are local,
  // from the project. False when they aren't there.
  Result<bool> stage(const ResolvedElement& junction, const std::string& directory);

 private:
  Status open();
  bool is_whole(const model::Digest& root);
  Result<model::Digest> import_known(const std::string& path, store::ImportOptions options,
                                     KnownFiles* known);
  Result<model::Digest> import(const std::string& path, bool directory, KnownFiles* known);

  bool import_;
  std::string cachedir_;
  std::mutex mutex_;  // guards what follows, while digests are made
  LocalCache digests_;
  std::unordered_map<std::string, model::Digest> found_;  // by path
  std::optional<store::Cas> cas_;
};

}  // namespace sluice::loader
