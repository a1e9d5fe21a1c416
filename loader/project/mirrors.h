// A mirror of `mirrors:`, in project.conf or in the user's configuration: other places
// for what aliases stand for (buildstream/plugins/sourcemirrors/default.py).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/project/plugins.h"
#include "loader/yaml.h"

namespace sluice::loader {

struct Mirror {
  std::string name;
  // For each alias the URIs that may stand in its place, in the order to try.
  std::vector<std::pair<std::string, std::vector<std::string>>> aliases;

  // The kind of a mirror that only a plugin's Python knows. Such a one has no aliases here: those
  // that it says it has are in `plugin`, or a warning says that it isn't used. "" for others.
  std::string foreign_kind;
  struct Plugin {
    PluginModule module;
    std::string packed;  // an item of a PROJECT's `mirrors` (spec/plugins.md)
    std::vector<std::string> aliases;
    Provenance place;
  };
  std::optional<Plugin> plugin;

  // The URIs of an alias; empty when the mirror has none.
  const std::vector<std::string>& uris(std::string_view alias) const;
  // Whether its plugin makes URLs of those with the alias. Errors: plugin/no-aliases for a plugin
  // that didn't say which it has.
  Result<bool> translates(std::string_view alias) const;
};

// What is known of a mirror's kind other than "default": nothing, that the project declares it,
// that it is simple_mirror of buildstream-plugins.
enum class MirrorPlugin { kNone, kForeign, kSimple };

// Reads one item of the list, already expanded. Errors: plugin/plugin-not-found for a kind that is
// kNone.
Result<Mirror> read_mirror(const Node& node, MirrorPlugin plugin);

}  // namespace sluice::loader
