// YAML as BuildStream prints it for %{vars}, %{env}, %{config}, %{public} and lists of
// dependencies, and writes it into artifacts: what ruamel.yaml's round-trip dumper makes of plain
// strings, lists and maps with a line width of 9999, byte for byte.
//
// Block style throughout; lists lie at the indentation of their key; every scalar is a
// string and so never quoted for looking like something else; text of several lines is in
// double quotes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"

namespace sluice::yaml {

// Text that ends in a newline. A null is written as an empty string.
std::string dump(const model::Node& node);
std::string dump(const model::StringMap& map);
std::string dump(const std::vector<std::string>& list);

// Text without what Python's str.strip() removes: BuildStream strips every scalar of a node that it
// makes.
std::string_view strip(std::string_view text);
// A copy with every scalar stripped, as BuildStream's clone of a node has them. Keys stay as they
// are.
model::Node stripped(model::Node node);
model::StringMap stripped(model::StringMap map);

}  // namespace sluice::yaml
