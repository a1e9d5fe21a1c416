// JSON as Python's ujson.dumps(value, sort_keys=True, escape_forward_slashes=False)
// writes it, byte for byte: cache keys are SHA-256 over it.
//
// No white space; keys sorted by code point; ASCII only, other characters as \uXXXX in
// lower case, beyond the BMP as surrogate pairs; \b \t \n \f \r " and \ escaped by a
// letter, other control characters as \u00XX, 0x7F as it is; '/' as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"
#include "yaml/tree.h"

namespace sluice::yaml {

// The JSON of a text, a list of texts or a tree is appended to `out`. Text must be UTF-8.
void json_string(std::string& out, std::string_view text);
void json_strings(std::string& out, const std::vector<std::string>& strings);
// Scalars of the tree are strings in JSON, whatever they look like.
void json_node(std::string& out, const Node& node);

}  // namespace sluice::yaml
