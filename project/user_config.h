// The user's configuration: buildstream2.conf or buildstream.conf of $XDG_CONFIG_HOME, or the file
// of --config, over built-in defaults, with the command line over both (buildstream/_context.py).
//
// Unknown keys are load/invalid-data with their place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "model/settings_overrides.h"
#include "project/cache_servers.h"
#include "project/yaml.h"

namespace sluice::project {

class Lookups;

// `fetch: source:` and `track: source:`: which URLs may be used for an alias.
enum class UrlPolicy { kAll, kAliases, kMirrors, kUser };

struct UserConfig {
  // The lookups by which everything was read, and by which the rest of the load is.
  std::shared_ptr<Lookups> lookups;
  Arena arena;
  File file;
  File defaults_file;
  model::Settings settings;
  UrlPolicy fetch_source = UrlPolicy::kAll;
  UrlPolicy track_source = UrlPolicy::kAliases;
  // Limits of the local store, with settings.cache_quota.
  std::uint64_t cache_reserved = 0;       // bytes of the disk that stay free
  std::uint32_t cache_low_watermark = 0;  // ten-thousandths of the quota
  // Services on other machines (cache_servers.h).
  CacheConfig artifacts, source_caches;
  std::vector<std::string> warnings;
  // `projects:`, a map by project name; null when there is none.
  Node* projects = nullptr;

  // The overrides of one project; null when there are none.
  Result<const Node*> project(std::string_view name) const;
  // The caches of a project, of `key` "artifacts" or "source-caches", without what projects
  // recommend. `global` is what is configured for all projects. Warnings of addresses that are none
  // are added to `wrong`.
  Result<model::CacheServers> servers(std::string_view name, std::string_view key,
                                      const CacheConfig& global,
                                      std::vector<std::string>& wrong) const;
  // Has the settings be as they are overridden for the toplevel project: where commands are run.
  // Errors: load/invalid-data.
  Status use_overrides_of(std::string_view name);
  // Checks what is said of caches for a project that is used. Errors: load/invalid-data.
  Status check_project(std::string_view name) const;
};

// Reads the configuration. With `path` empty it is that of the default files, of which none need be
// there. `cpus` is what max-jobs 0 becomes, at most 8.
Result<std::unique_ptr<UserConfig>> load_user_config(const std::string& path,
                                                     const model::SettingsOverrides& overrides,
                                                     std::uint32_t cpus,
                                                     std::shared_ptr<Lookups> lookups = nullptr);

// The text with $NAME and ${NAME} replaced by the environment's values; unknown ones stay as they
// are.
std::string expand_environment(Lookups& lookups, std::string_view text);

}  // namespace sluice::project
