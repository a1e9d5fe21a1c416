// Plain YAML data after loading: what `config`, `public` and the like hold.
//
// As in BuildStream every scalar is a string; `null` is kept apart because BuildStream keeps it
// apart. Maps keep the order in which keys were first seen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::model {

struct Node;
using NodeList = std::vector<Node>;
using NodeMap = std::vector<std::pair<std::string, Node>>;
// Ordered, for variables and environments.
using StringMap = std::vector<std::pair<std::string, std::string>>;

struct Node {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;
  NodeList list;
  NodeMap map;

  static Node make_scalar(std::string value);
  static Node make_list(NodeList items = {});
  static Node make_map(NodeMap items = {});

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }

  // The value under `key` of a map, nullptr when absent or when this is no map.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  // Adds or replaces; this must be a map.
  void set(std::string key, Node value);

  // find() and its scalar, or `otherwise`.
  std::string get_string(std::string_view key, std::string_view otherwise = {}) const;
  // find() and its list of scalars; empty when absent.
  std::vector<std::string> get_strings(std::string_view key) const;

  bool operator==(const Node& other) const = default;
};

const std::string* find_string(const StringMap& map, std::string_view key);

}  // namespace sluice::model
