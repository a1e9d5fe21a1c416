// Cache servers, and other services on other machines (storage, remote execution), as configuration
// names them (buildstream/_remotespec.py). They are read and checked here; nothing is asked of
// them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "project/yaml.h"

namespace sluice::project {

// A service, and where it was named. `type` may be "endpoint" as well.
struct Remote : model::Remote {
  Provenance provenance;
};

// Warns, once for a place, when the URL of a remote is no address: such a remote can only be done
// without, as BuildStream does.
void check_address(const Remote& remote, std::vector<std::string>& warnings);

// Reads a cache server. Files are relative to `directory`, when that is "" to the current one.
// Errors: load/invalid-data.
Result<Remote> read_remote(const Node& node, std::string_view directory = {});
// Reads a service of remote execution: it has no `type`, and `push` for the action cache only.
Result<Remote> read_execution_remote(const Node& node, bool action_cache);

// `artifacts:` and `source-caches:` of the user's configuration.
struct CacheConfig {
  bool override_projects = false;
  std::vector<Remote> servers;
};
Result<CacheConfig> read_cache_config(const Node& node);

// `remote-execution:` of the user's configuration. The argument `storage` says whether
// cache.storage-service is set.
Result<model::RemoteExecution> read_remote_execution(const Node& node, bool storage);

}  // namespace sluice::project
