// What the scheduler asks of the store and of log files: an interface, so that the core is tested
// without either. The real one is in store_view.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::scheduler {

// What the scheduler keeps of an artifact in the store.
struct CachedArtifact {
  bool success = true;
  std::string error;  // of a failure: one line, and the rest
  std::string detail;
  model::Digest files;
  model::Digest public_data;
  model::Digest low_diversity_meta;
  std::string key;  // its strong one
  // It has a build tree, which isn't here. Only artifact() says so.
  bool lacks_buildtree = false;
  std::vector<std::pair<std::string, model::Digest>> logs;
};

// The artifact that artifact() asks for; `element` is the name in its project.
struct ArtifactName {
  std::string_view project, element, key;
};

// What the artifact of an attempt must be, to be taken from a runner that has made it in a store of
// its own.
struct Adoption {
  struct Dependency {
    std::string project, element, key;
  };
  std::string project, element;
  model::Keys keys;
  std::vector<Dependency> dependencies;  // in staging order
  bool success = true;
  bool workspaced = false;
  bool has_sources = true;
  std::string log_name;    // file name of the attempt's log
  std::string key_inputs;  // kept with it; "": none
};

// The store as the scheduler asks it. One thread. Errors are those of the system or the store; that
// something isn't there is none.
class StoreView {
 public:
  virtual ~StoreView() = default;
  // Opens the store. Called before all others, and again when a run's settings name another store.
  virtual Status open(const model::Settings& settings) = 0;
  // The artifact under that key when every blob of it is there.
  virtual Result<std::optional<CachedArtifact>> artifact(const ArtifactName& name) = 0;
  // artifact() for each name, in their order.
  virtual std::vector<Result<std::optional<CachedArtifact>>> artifacts_of(
      const std::vector<ArtifactName>& names) = 0;
  // The artifact just after a runner has committed it, and checked its blobs: the ref alone is
  // read.
  virtual Result<std::optional<CachedArtifact>> committed(const ArtifactName& name) = 0;
  // The root of what an element's sources stage, when all of it is there.
  virtual Result<std::optional<model::Digest>> sources(const std::string& sources_key) = 0;
  // ---- Of runners that have a store of their own; a store that has nothing to do with them need
  // not do any of it: then nothing is taken from them.
  // Takes an artifact whose message and blobs a runner has sent: checks that it is what the attempt
  // was to make, and that all that it refers to is whole, and writes its refs, as a build here
  // would. Errors: domain "remote", "bad-result" with what is wrong; those of the system.
  virtual Status adopt(const Adoption& wanted, const model::Digest& message);
  // Writes the log that a runner has sent to the file `path` (its directories are made), or where
  // that can't be had `tail`, its end. Nothing is written when there is neither.
  virtual Status keep_log(const model::Digest& log, std::string_view tail, const std::string& path);
  // The message of an artifact that has a build tree and its sources, all of it here, as a blob.
  virtual Result<std::optional<model::Digest>> message_of(const ArtifactName& name);
  // Writes the logs of a cached failure and a last line to a new log file (its directories are
  // made).
  virtual Status replay_log(const CachedArtifact& artifact, const std::string& path,
                            const std::string& last_line) = 0;
  // The last lines of a log file; "" when it can't be read.
  virtual std::string log_tail(const std::string& path, std::uint32_t lines) = 0;
  // Forgets all that was seen before, since something that was thought to be there isn't.
  virtual void forget() = 0;
  // Keeps what is known of the store for the next process, at a run's end. Returns the store's
  // directory; "" when there is none.
  virtual std::string settle() = 0;
};

// The view of the local store, below settings.cachedir. Opens nothing until open().
std::unique_ptr<StoreView> make_store_view();

}  // namespace sluice::scheduler
