// The YAML that most files are written in, read in one pass: block maps and lists,
// one-line scalars, block scalars, plain lists in brackets. Whatever is beyond that, or
// looks wrong, is left to yaml-cpp (parse.cc), which takes twenty times as long.
//
// What this takes, it reads exactly as parse.cc does, places included;
// tests/fuzz/yaml.cc holds the two against each other.
#pragma once

#include <string_view>

#include "yaml/tree.h"

namespace sluice::yaml {

// The tree of a text; nullptr when that isn't simple. Texts of nodes point into `text`, which must
// live as long as `arena`.
Node* parse_simple_yaml(Arena& arena, const File& file, std::string_view text);

}  // namespace sluice::yaml
