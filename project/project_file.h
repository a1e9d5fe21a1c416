// Files of a project as trees: read, parsed, and kept for its next load.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "project/yaml.h"

namespace sluice::project {

class Lookups;
class ParseCache;

// The tree of a text that has that SHA-256, out of the cache or parsed. `text` must live as long as
// `arena`; `cache` may be null.
Result<Node*> parse_yaml_kept(ParseCache* cache, Arena& arena, const File& file,
                              std::string_view text, const std::string& sha256);

// The tree of a file. Errors: load/missing-file, load/loading-directory, and those of parse_yaml().
Result<Node*> load_yaml(Lookups& lookups, Arena& arena, const File& file);

}  // namespace sluice::project
