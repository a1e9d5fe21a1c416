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

  // Resolves all of them, in order; the first error.
  Status check();

  // nullopt when there is no such variable.
  Result<std::optional<std::string_view>> get(std::string_view name);

  // Where its text comes from; nullptr when there is no such variable.
  const Node* node_of(std::string_view name);

  // `text` with its references replaced. `at` is whom to blame.
  Result<std::string_view> substitute(std::string_view text, const Node& at);

  // Every scalar of a tree, in place.
  Status expand(Node& node);

  // All of them with their values, in the map's order. After check().
  Result<model::StringMap> values();

 private:
  friend class SharedVariables;

  struct Slot {
    std::string_view name;
    const Node* node = nullptr;
    std::string_view value;  // raw until resolved
    enum class State : std::uint8_t { kRaw, kActive, kResolved } state = State::kRaw;
  };

  static constexpr std::size_t kAll = static_cast<std::size_t>(-1);

  Variables(Arena& arena, const Node& map) : arena_(&arena), map_(&map) {}

  Slot* find(std::string_view name);
  Status resolve(Slot& slot);
  // All of a text's references must be defined; `at` refers to them.
  Status assert_defined(std::string_view text, const Node* at);
  // References in `text` must be resolved.
  Result<std::string_view> join(std::string_view text, const Node* at);
  tl::unexpected<Error> circular(const std::vector<Slot*>& chain, Slot& again) const;

  Arena* arena_;
  const Node* map_;
  // As many slots as this are by the map's entries, then come names that aren't in it; the
  // last slot is the map's last entry. See SharedVariables.
  std::size_t shared_ = kAll;
  std::size_t spent_ = 0;  // bytes of values that were put together
  std::vector<Slot> slots_;
};

// The next reference in `text` at or after `from`: its bounds and name.
struct Reference {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view name;
};
std::optional<Reference> next_reference(std::string_view text, std::size_t from);

}  // namespace sluice::loader
