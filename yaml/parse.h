// YAML text to a tree, by the rules that BuildStream has (buildstream/_yaml.pyx):
// one document which is a mapping; string keys, each once in its map; every scalar
// a string, without white space at its ends; no anchors, no aliases, no tags of
// one's own. What yaml-cpp throws ends here.
//
// Errors: load/invalid-yaml with the place. Limits, since the text may be anybody's:
// files of 64 MiB, and the depth that yaml-cpp allows (500).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "yaml/tree.h"

namespace sluice::yaml {

// Bytes that a file may have.
inline constexpr std::size_t kLargestFile = std::size_t{64} << 20;

// The tree of a text, in `arena`, with texts of its own. A file of comments only is an empty map.
// `file` must outlive the tree, whose marks refer to it.
Result<Node*> parse_yaml(Arena& arena, const File& file, std::string_view text);
// The same tree, but with texts that point into `text`, which must live as long as the arena.
Result<Node*> parse_yaml_in_place(Arena& arena, const File& file, std::string_view text);
// The same tree by yaml-cpp alone, without the short cut for simple files (simple.h).
Result<Node*> parse_full_yaml(Arena& arena, const File& file, std::string_view text);

}  // namespace sluice::yaml
