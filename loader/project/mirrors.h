// A mirror of `mirrors:`, in project.conf or in the user's configuration: other places
// for what aliases stand for (buildstream/plugins/sourcemirrors/default.py).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"

namespace sluice::loader {

struct Mirror {
  std::string name;
  // For each alias what may stand in its place, in the order to try.
  std::vector<std::pair<std::string, std::vector<std::string>>> aliases;

  // The kind of one that only a plugin's Python knows: it has no aliases here, and a warning says
  // so.
  std::string foreign_kind;

  // Empty when it has none.
  const std::vector<std::string>& uris(std::string_view alias) const;
};

// What is known of a mirror's kind other than "default": nothing, that the project declares it,
// that it is simple_mirror of buildstream-plugins.
enum class MirrorPlugin { kNone, kForeign, kSimple };

// One item of the list, already expanded. plugin/plugin-not-found for a kind that is kNone.
Result<Mirror> read_mirror(const Node& node, MirrorPlugin plugin);

}  // namespace sluice::loader
