// The user's configuration: buildstream2.conf or buildstream.conf of
// $XDG_CONFIG_HOME, or the file of --config, over built-in defaults, with the
// command line over both (buildstream/_context.py).
//
// Unknown keys are load/invalid-data with their place. Keys that BuildStream has and
// Sluice does not implement are load/unsupported, unless they say what is the default.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/tree.h"
#include "model/model.h"

namespace sluice::loader {

class Inputs;

// The options of the command line that replace configuration. Unset ones leave it.
struct SettingsOverrides {
  std::optional<std::uint32_t> builders;
  std::optional<std::uint32_t> fetchers;
  std::optional<std::uint32_t> pushers;
  std::optional<std::uint32_t> network_retries;
  std::optional<std::uint32_t> max_jobs;
  std::optional<std::uint32_t> error_lines;
  std::optional<std::uint32_t> message_lines;
  std::optional<std::string> on_error;
  std::optional<std::string> cache_buildtrees;
  std::optional<bool> strict;
  std::optional<bool> debug;
  std::optional<bool> verbose;
};

struct UserConfig {
  // Through which everything was read, and the rest of the load is.
  std::shared_ptr<Inputs> inputs;
  Arena arena;
  File file;
  File defaults_file;
  model::Settings settings;
  // `projects:`, a map by project name; null when there is none.
  Node* projects = nullptr;

  // The overrides of one project; null when there are none.
  Result<const Node*> project(std::string_view name) const;
};

// `path` empty: the default files, and none of them need be there. `cpus` is what
// max-jobs 0 becomes, at most 8.
Result<std::unique_ptr<UserConfig>> load_user_config(const std::string& path, const SettingsOverrides& overrides,
                                                     std::uint32_t cpus, std::shared_ptr<Inputs> inputs = nullptr);

// $NAME and ${NAME} of the environment; unknown ones stay as they are.
std::string expand_environment(Inputs& inputs, std::string_view text);
// Without noting what was looked at.
std::string expand_environment(std::string_view text);

}  // namespace sluice::loader
