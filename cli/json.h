// Nodes as JSON, for commands that print it or compare it.
#pragma once

#include "model/node.h"

namespace sluice::cli {

// `text` makes a scalar what it is in the JSON. Nesting is bounded by what the loader takes of
// YAML.
template <typename Json, typename Text>
Json json_of(const model::Node& node, const Text& text) {
  switch (node.kind) {
    case model::Node::Kind::kNull: return nullptr;
    case model::Node::Kind::kScalar: return text(node.scalar);
    case model::Node::Kind::kList: {
      Json list = Json::array();
      for (const auto& item : node.list) list.push_back(json_of<Json>(item, text));
      return list;
    }
    case model::Node::Kind::kMap: {
      Json map = Json::object();
      for (const auto& [key, value] : node.map) map[key] = json_of<Json>(value, text);
      return map;
    }
  }
  return nullptr;
}

}  // namespace sluice::cli
