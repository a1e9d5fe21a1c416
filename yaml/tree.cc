#include "yaml/tree.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "base/suggest.h"
#include "base/truth.h"
#include "base/try.h"

namespace sluice::yaml {

namespace {

constexpr std::uint32_t kSearchedInARow = 12;

std::uint32_t hash_of(std::string_view key) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(key));
}

const char* type_name(Kind kind) {
  switch (kind) {
    case Kind::kScalar: return "scalar";
    case Kind::kList: return "list";
    case Kind::kMap: return "dict";
  }
  return "?";
}

}  // namespace

void Node::append(Arena& arena, Node* item) {
  assert(is_list());
  if (size_ == capacity_) {
    const std::uint32_t capacity = capacity_ == 0 ? 4 : capacity_ * 2;
    Node** larger = arena.make_array<Node*>(capacity);
    std::copy_n(items_, size_, larger);
    items_ = larger;
    capacity_ = capacity;
  }
  items_[size_++] = item;
}

void Node::prepend(Arena& arena, std::span<Node* const> items) {
  assert(is_list());
  const auto count = static_cast<std::uint32_t>(items.size());
  Node** larger = arena.make_array<Node*>(size_ + count);
  std::copy(items.begin(), items.end(), larger);
  std::copy_n(items_, size_, larger + count);
  items_ = larger;
  size_ += count;
  capacity_ = size_;
}

void Node::assign(Arena& arena, std::span<Node* const> items) {
  assert(is_list() && size_ == 0);
  if (items.empty()) return;
  items_ = arena.make_array<Node*>(items.size());
  std::copy(items.begin(), items.end(), items_);
  size_ = static_cast<std::uint32_t>(items.size());
  capacity_ = size_;
}

bool Node::assign(Arena& arena, std::span<const Entry> entries) {
  assert(is_map() && size_ == 0);
  if (entries.empty()) return true;
  make_room(arena, static_cast<std::uint32_t>(entries.size()));
  std::copy(entries.begin(), entries.end(), entries_);
  if (!has_table()) {
    for (size_ = 0; size_ < entries.size(); ++size_) {
      if (position(entries[size_].key) != kNone) return false;
    }
    return true;
  }
  size_ = static_cast<std::uint32_t>(entries.size());
  index(arena);
  for (std::uint32_t i = 0; i < size_; ++i) {
    if (position(entries_[i].key) != i) return false;
  }
  return true;
}

bool Node::has_table() const { return capacity_ > kSearchedInARow; }

// Moves entries or items to memory that has room for `capacity`.
void Node::make_room(Arena& arena, std::uint32_t capacity) {
  static_assert(sizeof(Table) <= sizeof(Entry) && alignof(Table) <= alignof(Entry));
  const bool table = capacity > kSearchedInARow;
  Entry* larger = arena.make_array<Entry>(capacity + (table ? 1 : 0));
  std::copy_n(entries_, size_, larger);
  entries_ = larger;
  capacity_ = capacity;
  if (!table) return;
  new (entries_ + capacity) Table();
  index(arena);
}

std::uint32_t Node::position(std::string_view key) const {
  if (!has_table()) {
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (entries_[i].key == key) return i;
    }
    return kNone;
  }
  const Table& positions = table();
  for (std::uint32_t slot = hash_of(key) & (positions.size - 1);;
       slot = (slot + 1) & (positions.size - 1)) {
    const std::uint32_t found = positions.slots[slot];
    if (found == kNone || entries_[found].key == key) return found;
  }
}

// Fills the table, which is at least twice as large as there can be entries.
void Node::index(Arena& arena) {
  Table& positions = table();
  if (positions.slots == nullptr) {
    positions.size = 32;
    while (positions.size < capacity_ * 2) positions.size *= 2;
    positions.slots = arena.make_array<std::uint32_t>(positions.size);
  }
  reindex();
}

void Node::reindex() {
  Table& positions = table();
  std::fill_n(positions.slots, positions.size, kNone);
  for (std::uint32_t i = 0; i < size_; ++i) {
    std::uint32_t slot = hash_of(entries_[i].key) & (positions.size - 1);
    while (positions.slots[slot] != kNone && entries_[positions.slots[slot]].key != entries_[i].key)
      slot = (slot + 1) & (positions.size - 1);
    if (positions.slots[slot] == kNone) positions.slots[slot] = i;
  }
}

Node* Node::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  const std::uint32_t found = position(key);
  return found == kNone ? nullptr : entries_[found].value;
}

void Node::set(Arena& arena, std::string_view key, Node* value) {
  assert(is_map());
  const std::uint32_t found = position(key);
  if (found != kNone) {
    entries_[found].value = value;
    return;
  }
  if (size_ == capacity_) make_room(arena, capacity_ == 0 ? 4 : capacity_ * 2);
  entries_[size_] = {key, value};
  if (has_table()) {
    const Table& positions = table();
    std::uint32_t slot = hash_of(key) & (positions.size - 1);
    while (positions.slots[slot] != kNone) slot = (slot + 1) & (positions.size - 1);
    positions.slots[slot] = size_;
  }
  ++size_;
}

void Node::remove(std::string_view key) {
  assert(is_map());
  const std::uint32_t found = position(key);
  if (found == kNone) return;
  std::copy(entries_ + found + 1, entries_ + size_, entries_ + found);
  --size_;
  // Positions behind the removed entry have moved.
  if (has_table()) reindex();
}

Node* make_scalar(Arena& arena, std::string_view text, Mark mark) {
  Node* node = arena.make<Node>();
  node->kind = Kind::kScalar;
  node->mark = mark;
  node->text = text;
  return node;
}

Node* make_list(Arena& arena, Mark mark) {
  Node* node = arena.make<Node>();
  node->kind = Kind::kList;
  node->mark = mark;
  return node;
}

Node* make_map(Arena& arena, Mark mark) {
  Node* node = arena.make<Node>();
  node->kind = Kind::kMap;
  node->mark = mark;
  return node;
}

Node* Node::copy(Arena& arena, const Node& node, bool texts) {
  Node* copied = arena.make<Node>(node);
  if (node.is_scalar()) {
    if (texts) copied->text = arena.copy(node.text);
    return copied;
  }
  if (node.is_list()) {
    copied->capacity_ = node.size_;
    copied->items_ = arena.make_array<Node*>(node.size_);
    for (std::uint32_t i = 0; i < node.size_; ++i)
      copied->items_[i] = copy(arena, *node.items_[i], texts);
    return copied;
  }
  const bool table = node.has_table();
  if (!table) copied->capacity_ = node.size_;
  copied->entries_ = arena.make_array<Entry>(copied->capacity_ + (table ? 1u : 0u));
  for (std::uint32_t i = 0; i < node.size_; ++i) {
    const Entry& entry = node.entries_[i];
    copied->entries_[i] = {texts ? arena.copy(entry.key) : entry.key,
                           copy(arena, *entry.value, texts)};
  }
  if (table) {
    const Table& from = node.table();
    auto* to = new (copied->entries_ + copied->capacity_)
        Table{arena.make_array<std::uint32_t>(from.size), from.size};
    std::copy_n(from.slots, from.size, to->slots);
  }
  return copied;
}

Node* clone(Arena& arena, const Node& node) { return Node::copy(arena, node, false); }

Node* clone_with_texts(Arena& arena, const Node& node) { return Node::copy(arena, node, true); }

model::Node to_model(const Node& node) {
  switch (node.kind) {
    case Kind::kScalar: return model::Node::make_scalar(std::string(node.text));
    case Kind::kList: {
      model::NodeList items;
      items.reserve(node.size());
      for (const Node* item : node.items()) items.push_back(to_model(*item));
      return model::Node::make_list(std::move(items));
    }
    case Kind::kMap: {
      model::NodeMap entries;
      entries.reserve(node.size());
      for (const Entry& entry : node.entries())
        entries.emplace_back(entry.key, to_model(*entry.value));
      return model::Node::make_map(std::move(entries));
    }
  }
  return {};
}

Provenance provenance(const Mark& mark) {
  if (mark.synthetic()) return {};
  return {mark.file->display, mark.line + 1, mark.column};
}

tl::unexpected<Error> load_error(const Node& node, std::string reason, std::string message,
                                 std::string detail) {
  return fail("load", std::move(reason), std::move(message), provenance(node), std::move(detail));
}

tl::unexpected<Error> invalid_data(const Node& node, std::string message, std::string detail) {
  return load_error(node, "invalid-data", std::move(message), std::move(detail));
}

namespace {

std::string meant_by(std::string_view word, std::span<const std::string_view> known) {
  return did_you_mean(nearest(word, std::vector<std::string>(known.begin(), known.end())));
}

Result<Node*> find_kind(const Node& map, std::string_view key, Kind kind) {
  Node* value = map.find(key);
  if (value != nullptr && value->kind != kind) {
    return invalid_data(*value, fmt::format("Value of '{}' is not of the expected type '{}'", key,
                                            type_name(kind)));
  }
  return value;
}

Result<Node*> get_kind(const Node& map, std::string_view key, Kind kind) {
  Node* value = TRY(find_kind(map, key, kind));
  if (value == nullptr)
    return invalid_data(map, fmt::format("Dictionary did not contain expected key '{}'", key));
  return value;
}

}  // namespace

Result<Node*> get_scalar(const Node& map, std::string_view key) {
  return get_kind(map, key, Kind::kScalar);
}
Result<Node*> get_list(const Node& map, std::string_view key) {
  return get_kind(map, key, Kind::kList);
}
Result<Node*> get_map(const Node& map, std::string_view key) {
  return get_kind(map, key, Kind::kMap);
}
Result<Node*> find_scalar(const Node& map, std::string_view key) {
  return find_kind(map, key, Kind::kScalar);
}
Result<Node*> find_list(const Node& map, std::string_view key) {
  return find_kind(map, key, Kind::kList);
}
Result<Node*> find_map(const Node& map, std::string_view key) {
  return find_kind(map, key, Kind::kMap);
}

Result<std::string_view> get_string(const Node& map, std::string_view key) {
  return TRY(get_scalar(map, key))->text;
}

Result<std::string_view> get_string(const Node& map, std::string_view key,
                                    std::string_view otherwise) {
  const Node* node = TRY(find_scalar(map, key));
  return node != nullptr ? node->text : otherwise;
}

Result<bool> as_bool(const Node& scalar, std::string_view name) {
  if (const auto truth = truth_of(scalar.text)) return *truth;
  return invalid_data(scalar,
                      fmt::format("Value of '{}' is not of the expected type 'boolean'", name));
}

Result<bool> get_bool(const Node& map, std::string_view key) {
  return as_bool(*TRY(get_scalar(map, key)), key);
}

Result<bool> get_bool(const Node& map, std::string_view key, bool otherwise) {
  const Node* node = TRY(find_scalar(map, key));
  if (node == nullptr) return otherwise;
  return as_bool(*node, key);
}

Result<std::int64_t> as_int(const Node& scalar, std::string_view name) {
  // Digits may be grouped by single underscores, as Python's int() allows.
  std::string digits;
  std::string_view text = scalar.text;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  bool valid = !text.empty();
  for (std::size_t i = 0; i < text.size() && valid; ++i) {
    if (text[i] == '_') {
      valid = i > 0 && i + 1 < text.size() && text[i - 1] != '_';
    } else {
      valid = text[i] >= '0' && text[i] <= '9';
      digits += text[i];
    }
  }
  std::int64_t value = 0;
  if (valid) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    valid = error == std::errc() && end == digits.data() + digits.size();
  }
  if (!valid)
    return invalid_data(scalar,
                        fmt::format("Value of '{}' is not of the expected type 'int'", name));
  return negative ? -value : value;
}

Result<std::int64_t> get_int(const Node& map, std::string_view key) {
  return as_int(*TRY(get_scalar(map, key)), key);
}

Result<std::optional<std::int64_t>> find_int(const Node& map, std::string_view key) {
  const Node* node = TRY(find_scalar(map, key));
  if (node == nullptr) return std::nullopt;
  return std::optional<std::int64_t>(TRY(as_int(*node, key)));
}

Result<std::string_view> get_enum(const Node& map, std::string_view key,
                                  std::span<const std::string_view> allowed) {
  const Node* node = TRY(get_scalar(map, key));
  for (std::string_view value : allowed) {
    if (value == node->text) return node->text;
  }
  return invalid_data(
      *node, fmt::format("Value of '{}' should be one of '{}'", key, fmt::join(allowed, ", ")),
      meant_by(node->text, allowed));
}

Result<std::vector<std::string>> as_strings(const Node& list) {
  std::vector<std::string> strings;
  strings.reserve(list.size());
  for (const Node* item : list.items()) {
    if (!item->is_scalar())
      return invalid_data(*item, "List item is not of the expected type 'scalar'");
    strings.emplace_back(item->text);
  }
  return strings;
}

Result<std::vector<std::string>> get_strings(const Node& map, std::string_view key) {
  return as_strings(*TRY(get_list(map, key)));
}

Result<std::vector<std::string>> find_strings(const Node& map, std::string_view key) {
  const Node* node = TRY(find_list(map, key));
  if (node == nullptr) return std::vector<std::string>();
  return as_strings(*node);
}

Status validate_keys(const Node& map, std::span<const std::string_view> valid) {
  for (const Entry& entry : map.entries()) {
    if (std::find(valid.begin(), valid.end(), entry.key) == valid.end()) {
      return invalid_data(*entry.value, fmt::format("Unexpected key: {}", entry.key),
                          meant_by(entry.key, valid));
    }
  }
  return {};
}

Status validate_keys(const Node& map, std::initializer_list<std::string_view> valid) {
  return validate_keys(map, std::span<const std::string_view>(valid.begin(), valid.size()));
}

Status assert_symbol_name(std::string_view name, std::string_view purpose, const Node& at,
                          bool allow_dashes) {
  bool valid = !name.empty() && !(name[0] >= '0' && name[0] <= '9');
  for (const char c : name) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!letter && !(allow_dashes && c == '-')) valid = false;
  }
  if (valid) return {};
  return load_error(
      at, "invalid-symbol-name", fmt::format("Invalid symbol name for {}: '{}'", purpose, name),
      fmt::format(
          "Symbol names must contain only alphanumeric characters, may not start with a digit, "
          "and may contain underscores{}",
          allow_dashes ? " or dashes" : ""));
}

}  // namespace sluice::yaml
