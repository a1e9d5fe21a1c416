// What the scheduler asks of the store and of log files: an interface, so that
// the core is tested without either. The real one is in store_view.cc.
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
  // It has one, which isn't here. Only as artifact() gives it.
  bool lacks_buildtree = false;
  std::vector<std::pair<std::string, model::Digest>> logs;
};

// What artifact() asks for.
struct ArtifactName {  // the element's name in its project
  std::string_view project, element, key;
};

// One thread. Errors are those of the system or the store; "not there" is none.
class StoreView {
 public:
  virtual ~StoreView() = default;
  // Called before all others, and again when a run's settings name another store.
  virtual Status open(const model::Settings& settings) = 0;
  // The artifact under that key when every blob of it is there.
  virtual Result<std::optional<CachedArtifact>> artifact(const ArtifactName& name) = 0;
  // The answers for all of them, in their order.
  virtual std::vector<Result<std::optional<CachedArtifact>>> artifacts_of(
      const std::vector<ArtifactName>& names) = 0;
  // The same just after a runner committed it (and checked its blobs): the ref alone is read.
  virtual Result<std::optional<CachedArtifact>> committed(const ArtifactName& name) = 0;
  // The root of what an element's sources stage, when all of it is there.
  virtual Result<std::optional<model::Digest>> sources(const std::string& sources_key) = 0;
  // Writes the logs of a cached failure and a last line to a new log file (its directories are
  // made).
  virtual Status replay_log(const CachedArtifact& artifact, const std::string& path,
                            const std::string& last_line) = 0;
  // The last lines of a log file; "" when it can't be read.
  virtual std::string log_tail(const std::string& path, std::uint32_t lines) = 0;
  // Something that was thought to be there isn't: nothing is believed any more that was seen
  // before.
  virtual void forget() = 0;
  // A run has ended: what is known of the store is kept for the next process. The store's
  // directory, "" when there is none.
  virtual std::string settle() = 0;
};

// On the local store, below settings.cachedir. `quiet` opens nothing until open().
std::unique_ptr<StoreView> make_store_view();

}  // namespace sluice::scheduler
