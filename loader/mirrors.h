// A mirror of `mirrors:`, in project.conf or in the user's configuration: other places
// for what aliases stand for (buildstream/plugins/sourcemirrors/default.py).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/tree.h"

namespace sluice::loader {

struct Mirror {
  std::string name;
  // For each alias what may stand in its place, in the order to try.
  std::vector<std::pair<std::string, std::vector<std::string>>> aliases;

  // Empty when it has none.
  const std::vector<std::string>& uris(std::string_view alias) const;
};

// One item of the list, already expanded. A mirror whose kind is a plugin's is
// plugin/unsupported-plugin when it is `declared`, else plugin/plugin-not-found.
Result<Mirror> read_mirror(const Node& node, bool declared);

}  // namespace sluice::loader
