// The defaults of a kind, resolved once for all its elements: most of their variables, and most of
// the values that are made of these, are the same in each. An element then resolves what its own
// variables touch, and shares the rest.
//
// All of this is a short cut. Whatever it can't do, or what ends in an error, ElementResolver does
// again in full, so that errors and their order are those of the long way.
//
// What is shared lives in the arena that it was made in, and nobody changes it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/elements/variables.h"
#include "loader/yaml.h"

namespace sluice::loader {

// A set of a kind's variables, by their places. One place more stands for the element's name.
class VariableSet {
 public:
  VariableSet() = default;
  explicit VariableSet(std::size_t count) : words_((count + 63) / 64) {}
  void add(std::size_t place) { words_[place / 64] |= std::uint64_t{1} << (place % 64); }
  bool contains(std::size_t place) const { return (words_[place / 64] >> (place % 64) & 1) != 0; }
  void add(const VariableSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  bool meets(const VariableSet& other) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if ((words_[i] & other.words_[i]) != 0) return true;
    }
    return false;
  }

 private:
  std::vector<std::uint64_t> words_;
};

class SharedVariables {
 public:
  // nullopt when the kind's variables are of a sort that the short cut isn't for.
  static std::optional<SharedVariables> make(Arena& arena, const Node& variables);

  // The variables of an element: the shared ones, with `own` (may be null) above them. nullopt when
  // that takes the long way. `arena` takes what is resolved; `own` and this must outlive the
  // result. `changed` becomes the set of those that differ from the shared ones in themselves.
  std::optional<Variables> derive(Arena& arena, const Node* own, std::string_view element_name,
                                  VariableSet& changed) const;

  // Adds to `set` what a text's value depends on. False when not all of that has a value without an
  // element.
  bool depends(std::string_view text, VariableSet& set) const;
  Variables& variables() { return variables_; }
  std::size_t count() const { return raw_.size(); }

 private:
  explicit SharedVariables(Variables variables) : variables_(std::move(variables)) {}

  Variables variables_;               // resolved as far as that goes without an element
  std::vector<Variables::Slot> raw_;  // the same slots, unresolved
  std::vector<VariableSet> depends_;  // what each depends on: itself, and others through others
  std::vector<bool> settled_;         // whether each has a value without an element
};

// A tree of a kind's defaults, unexpanded, with what it expands to in most elements.
class SharedTree {
 public:
  SharedTree() = default;
  // `node` must outlive this. A tree with list directives is left to the long way: then known() is
  // false.
  SharedTree(Arena& arena, const Node& node, SharedVariables& variables);

  bool known() const { return raw_ != nullptr; }
  // The tree of an element, with `own` (may be null) composed onto it. It is shared with others in
  // whole or in part, and so not to be changed.
  Result<Node*> expand(Arena& arena, const Node* own, Variables& variables,
                       const VariableSet& changed) const;

 private:
  SharedTree(Arena& arena, const Node& node, SharedVariables& variables, int);
  Result<Node*> expand(Arena& arena, Variables& variables, const VariableSet& changed) const;

  const Node* raw_ = nullptr;
  Node* expanded_ = nullptr;  // null when it takes an element
  VariableSet depends_;
  std::vector<SharedTree> below_;  // the trees of items or entries
};

}  // namespace sluice::loader
