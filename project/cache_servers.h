// Services on other machines as configuration names them: caches of artifacts and
// sources, storage, remote execution (buildstream/_remotespec.py). Read and checked here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "project/yaml.h"

namespace sluice::project {

// `type` may be "endpoint" as well.
struct Remote : model::Remote {
  Provenance provenance;
};

// `directory`: what files are relative to; "": the current one. load/invalid-data.
// Warns, once for a place, when its URL is no address: such a remote can only be done without, as
// BuildStream does.
void check_address(const Remote& remote, std::vector<std::string>& warnings);

Result<Remote> read_remote(const Node& node, std::string_view directory = {});
// Of a service of remote execution: no `type`, and `push` for the action cache only.
Result<Remote> read_execution_remote(const Node& node, bool action_cache);

// `artifacts:` and `source-caches:` of the user's configuration.
struct CacheConfig {
  bool override_projects = false;
  std::vector<Remote> servers;
};
Result<CacheConfig> read_cache_config(const Node& node);

// `remote-execution:` of the user's configuration. `storage`: cache.storage-service is set.
struct RemoteExecution {
  std::optional<Remote> execution, storage, action_cache;
};
Result<RemoteExecution> read_remote_execution(const Node& node, bool storage);

}  // namespace sluice::project
