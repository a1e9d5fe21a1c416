// Cache keys (buildstream/element.py, __update_cache_keys).
//
// A key is SHA-256 over the JSON of a dictionary; element.h prepares all of it but the
// list of dependencies, which comes first but for a version:
//
//   weak    ["project", "name"] of every dependency at build time, through others too;
//           with its weak key where the dependency is strict or the kind rebuilds strictly
//   strict  ["project", "name", "strict key"] of the same, and at the end the weak key
//
// "Every dependency at build time" is the runtime closure of each direct build
// dependency, in the order of staging. That is a sequence per element, which naively is
// quadratic in time. But the closure of an element begins with that of its first
// dependency: sequences are kept as a tree by their beginnings, and hashes go on from
// states of SHA-256 that are kept along the way. A chain costs the same per element
// however long it is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/sha256.h"
#include "loader/element.h"
#include "model/model.h"

namespace sluice::loader {

// The weak key of an element that can't have dependencies: a junction.
std::string key_without_dependencies(const ResolvedElement& element);

class KeyMaker {
 public:
  // Both are indexed by LoadIndex; `resolved` need be filled for what is asked about.
  KeyMaker(const std::vector<LoadElement>& elements, const std::vector<ResolvedElement>& resolved);

  // Dependencies must have been made before. Keys that can't be known, because a source
  // of the element or of a dependency has no ref, or its kind isn't supported, are "".
  model::Keys make(LoadIndex element);

 private:
  // Position in the tree of sequences; 0 is the empty one.
  using Sequence = std::uint32_t;

  struct Step {
    Sequence before = 0;
    LoadIndex element = 0;
    std::uint32_t length = 0;
    Sequence latest = 0;   // what it was last continued to: most often the answer again
    bool complete = true;  // every element of the sequence has a strict key
  };

  std::span<const LoadIndex> runtime(LoadIndex element) const {
    return std::span(runtime_).subspan(runtime_start_[element], runtime_start_[element + 1] - runtime_start_[element]);
  }
  Sequence append(Sequence sequence, LoadIndex element);
  // The sequence of the runtime closure of `element`, itself last.
  Sequence runtime_closure(LoadIndex element);
  Sequence build_closure(LoadIndex element);
  // Appends the runtime closure of each root to `sequence`, less what is marked.
  Sequence extend(Sequence sequence, std::span<const LoadIndex> roots, std::size_t from);
  void mark(Sequence sequence);

  enum class Flavour { kWeak, kStrict };
  // The state of the hash after the sequence, without the bracket that ends it.
  Sha256 state_of(Sequence sequence, Flavour flavour);
  void write_entry(std::string& out, LoadIndex element, const std::string* key) const;

  const std::vector<LoadElement>& elements_;
  const std::vector<ResolvedElement>& resolved_;
  std::vector<model::Keys> keys_;
  // Runtime dependencies of all elements in a row: they are walked again and again.
  std::vector<LoadIndex> runtime_;
  std::vector<std::size_t> runtime_start_;
  std::vector<Step> steps_;
  std::unordered_map<std::uint64_t, Sequence> next_;
  std::vector<Sequence> closures_;  // by element; 0 while unknown
  std::unordered_map<Sequence, Sha256> states_[2];
  std::vector<std::uint32_t> marks_;  // by element: the round it was last seen in
  std::uint32_t round_ = 0;
};

}  // namespace sluice::loader
