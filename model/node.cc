#include "model/node.h"

#include <cassert>

namespace sluice::model {

Node Node::make_scalar(std::string value) {
  Node node;
  node.kind = Kind::kScalar;
  node.scalar = std::move(value);
  return node;
}

Node Node::make_list(NodeList items) {
  Node node;
  node.kind = Kind::kList;
  node.list = std::move(items);
  return node;
}

Node Node::make_map(NodeMap items) {
  Node node;
  node.kind = Kind::kMap;
  node.map = std::move(items);
  return node;
}

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : map) {
    if (name == key) return &value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

void Node::set(std::string key, Node value) {
  assert(is_map());
  if (Node* present = find(key)) {
    *present = std::move(value);
  } else {
    map.emplace_back(std::move(key), std::move(value));
  }
}

std::string Node::get_string(std::string_view key, std::string_view otherwise) const {
  const Node* node = find(key);
  return node != nullptr && node->is_scalar() ? node->scalar : std::string(otherwise);
}

std::vector<std::string> Node::get_strings(std::string_view key) const {
  std::vector<std::string> strings;
  if (const Node* node = find(key)) {
    for (const Node& item : node->list) {
      if (item.is_scalar()) strings.push_back(item.scalar);
    }
  }
  return strings;
}

const std::string* find_string(const StringMap& map, std::string_view key) {
  for (const auto& [name, value] : map) {
    if (name == key) return &value;
  }
  return nullptr;
}

}  // namespace sluice::model
