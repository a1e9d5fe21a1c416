// The tree that a YAML file becomes: scalars (always strings), lists and maps,
// each with the place it came from, because every error must be able to name it.
//
// Nodes live in an Arena and are changed in place while files are composed, as
// BuildStream's are; whoever needs to keep the original clones it first. Maps keep
// the order in which keys were first set. Scalars' text lives in the arena too (or
// in static storage).
//
// The get_* functions are BuildStream's typed access (buildstream/node.pyx) with
// its error reasons: a missing key or a value of the wrong type is load/invalid-data
// at the place of the map or of the value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/node.h"
#include "yaml/arena.h"

namespace sluice::yaml {

// A file that nodes came from. Whoever loaded it owns it, for as long as the nodes live.
struct File {
  std::string path;     // as opened
  std::string display;  // how errors name it: relative to the elements or the project
};

// Where a node came from. `file` is null for what no file said (synthetic). Lines
// and columns count from 0 here, as YAML parsers do.
struct Mark {
  const File* file = nullptr;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool synthetic() const { return file == nullptr; }
  bool operator==(const Mark&) const = default;
};

enum class Kind : std::uint8_t { kScalar, kList, kMap };

struct Node;

// A deep copy. Its texts are the original's, so it must not outlive the original's arena.
Node* clone(Arena& arena, const Node& node);
// A deep copy with texts of its own, for an arena that outlives the original's.
Node* clone_with_texts(Arena& arena, const Node& node);

struct Entry {
  std::string_view key;
  Node* value = nullptr;
};

// A scalar, list or map. It is small, because a large project has millions of them.
struct Node {
  Mark mark;
  std::string_view text;  // of a scalar

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }

  // The items of a list; none of other nodes.
  std::span<Node* const> items() const { return {items_, kind == Kind::kList ? size_ : 0}; }
  std::span<Node*> items() { return {items_, kind == Kind::kList ? size_ : 0}; }
  void append(Arena& arena, Node* item);
  void prepend(Arena& arena, std::span<Node* const> items);
  void clear() { size_ = 0; }

  // The entries of a map, in order; none of other nodes.
  std::span<const Entry> entries() const { return {entries_, kind == Kind::kMap ? size_ : 0}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // The value under `key`; nullptr when the key is absent.
  Node* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  // The place of `key` among the entries; size() when the key is absent.
  std::size_t index_of(std::string_view key) const {
    const std::uint32_t found = is_map() ? position(key) : kNone;
    return found == kNone ? size_ : found;
  }
  // Puts `value` under `key`, in place of an earlier value or at the end. `key` must live as long
  // as the arena.
  void set(Arena& arena, std::string_view key, Node* value);
  void remove(std::string_view key);

  // Gives an empty list or map all that it has, in as much memory as that needs. False when a key
  // comes twice.
  void assign(Arena& arena, std::span<Node* const> items);
  [[nodiscard]] bool assign(Arena& arena, std::span<const Entry> entries);

 private:
  friend Node* clone(Arena& arena, const Node& node);
  friend Node* clone_with_texts(Arena& arena, const Node& node);
  static Node* copy(Arena& arena, const Node& node, bool texts);
  std::uint32_t position(std::string_view key) const;  // kNone when absent
  void index(Arena& arena);
  void reindex();

  static constexpr std::uint32_t kNone = 0xffffffff;

  // The positions of keys by their hashes, for maps too large to search in a row. The table lies
  // behind the entries.
  struct Table {
    std::uint32_t* slots = nullptr;
    std::uint32_t size = 0;  // a power of two
  };
  bool has_table() const;
  Table& table() const { return *reinterpret_cast<Table*>(entries_ + capacity_); }
  void make_room(Arena& arena, std::uint32_t capacity);

  union {
    Node** items_ = nullptr;
    Entry* entries_;
  };
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ : 30 = 0;

 public:
  Kind kind : 2 = Kind::kScalar;
};
static_assert(sizeof(Node) == 48);

Node* make_scalar(Arena& arena, std::string_view text, Mark mark = {});
Node* make_list(Arena& arena, Mark mark = {});
Node* make_map(Arena& arena, Mark mark = {});

// The tree as plain data, without places.
model::Node to_model(const Node& node);

// The place as users see it: lines count from 1, columns from 0. It is empty for synthetic marks.
Provenance provenance(const Mark& mark);
inline Provenance provenance(const Node& node) { return provenance(node.mark); }

// The result of looking at a source or an element (`what`, which is the domain of such errors,
// too). An error that is at the place of the source or element itself gets the kind as its subject,
// as BuildStream's plugins have it: "tar source at FILE [line 3 column 2]". An error at one of its
// values has a place that says enough.
template <typename T>
Result<T> said_by(const char* what, const std::string& kind, const Mark& mark, Result<T> result) {
  if (!result && result.error().domain == what && result.error().subject.empty() &&
      result.error().provenance.str() == provenance(mark).str()) {
    result.error().subject = kind + " " + what;
  }
  return result;
}

// An error of the load domain at a node.
tl::unexpected<Error> load_error(const Node& node, std::string reason, std::string message,
                                 std::string detail = {});
tl::unexpected<Error> invalid_data(const Node& node, std::string message, std::string detail = {});

// Required values. An absent key is an error.
Result<Node*> get_scalar(const Node& map, std::string_view key);
Result<Node*> get_list(const Node& map, std::string_view key);
Result<Node*> get_map(const Node& map, std::string_view key);
// Optional values: nullptr when the key is absent.
Result<Node*> find_scalar(const Node& map, std::string_view key);
Result<Node*> find_list(const Node& map, std::string_view key);
Result<Node*> find_map(const Node& map, std::string_view key);

Result<std::string_view> get_string(const Node& map, std::string_view key);
Result<std::string_view> get_string(const Node& map, std::string_view key,
                                    std::string_view otherwise);
Result<bool> get_bool(const Node& map, std::string_view key);
Result<bool> get_bool(const Node& map, std::string_view key, bool otherwise);
Result<std::int64_t> get_int(const Node& map, std::string_view key);
Result<std::optional<std::int64_t>> find_int(const Node& map, std::string_view key);
// A required text that is one of `allowed`; any other is an error.
Result<std::string_view> get_enum(const Node& map, std::string_view key,
                                  std::span<const std::string_view> allowed);
Result<std::vector<std::string>> get_strings(const Node& map, std::string_view key);
// The strings of a list; none when the key is absent.
Result<std::vector<std::string>> find_strings(const Node& map, std::string_view key);

Result<std::vector<std::string>> as_strings(const Node& list);
Result<bool> as_bool(const Node& scalar, std::string_view name);
Result<std::int64_t> as_int(const Node& scalar, std::string_view name);

// Fails at the first key that isn't in `valid` ("Unexpected key: ...").
Status validate_keys(const Node& map, std::span<const std::string_view> valid);
Status validate_keys(const Node& map, std::initializer_list<std::string_view> valid);

// Fails when a name isn't one that projects, options and variables may have. `purpose` is what
// messages call it, `at` where errors are.
Status assert_symbol_name(std::string_view name, std::string_view purpose, const Node& at,
                          bool allow_dashes = true);

}  // namespace sluice::yaml
