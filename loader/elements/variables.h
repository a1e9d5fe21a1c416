// %{variables}: values that refer to each other, and text that refers to them.
//
// A reference is %{name}, a letter first, then letters, digits, '-' and '_'; anything
// else is left as it is. References may be nested through any number of variables;
// resolution is iterative and each value is resolved once.
//
// Errors: load/unresolved-variable at the variable, or else the text, that refers to
// something undefined; load/circular-reference-variable with every step in its detail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"
#include "model/node.h"

namespace sluice::loader {

class Variables {
 public:
  // `map` maps names to scalars; it and `arena`, which takes resolved text, must
  // outlive this. `notparallel` set to true makes max-jobs 1, as in BuildStream.
  static Result<Variables> create(Arena& arena, Node& map);

  // Resolves all of them, in order, up to the first error.
  Status check();

  // The value of a variable; nullopt when there is none of that name.
  Result<std::optional<std::string_view>> get(std::string_view name);

  // Where a variable's text comes from; nullptr when there is no such variable.
  const Node* node_of(std::string_view name);

  // `text` with its references replaced. Errors are at `at`.
  Result<std::string_view> substitute(std::string_view text, const Node& at);

  // Replaces the references in every scalar of a tree, in place.
  Status expand(Node& node);

  // All of them with their values, in the map's order. check() must have been called.
  Result<model::StringMap> values();

 private:
  friend class SharedVariables;

  struct Slot {
    std::string_view name;
    const Node* node = nullptr;
    std::string_view value;  // as in the map until it is resolved
    enum class State : std::uint8_t { kRaw, kActive, kResolved } state = State::kRaw;
  };

  static constexpr std::size_t kAll = static_cast<std::size_t>(-1);

  Variables(Arena& arena, const Node& map) : arena_(&arena), map_(&map) {}

  Slot* find(std::string_view name);
  Status resolve(Slot& slot);
  // Fails unless all references in `text` are defined. `at` is the node that refers to them.
  Status assert_defined(std::string_view text, const Node* at);
  // Puts `text` together with the values of its references, which must be resolved.
  Result<std::string_view> join(std::string_view text, const Node* at);
  tl::unexpected<Error> circular(const std::vector<Slot*>& chain, Slot& again) const;

  Arena* arena_;
  const Node* map_;
  // The number of slots at the front that are by the map's entries. Behind them come names that
  // aren't in the map, and the last slot is the map's last entry. Only SharedVariables makes such;
  // kAll otherwise.
  std::size_t shared_ = kAll;
  std::size_t spent_ = 0;  // bytes of values that were put together
  std::vector<Slot> slots_;
};

// The next reference in a text at or after a position: its bounds and name.
struct Reference {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view name;
};
std::optional<Reference> next_reference(std::string_view text, std::size_t from);

}  // namespace sluice::loader
