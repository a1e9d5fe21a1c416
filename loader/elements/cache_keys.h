// Cache keys (buildstream/element.py, __update_cache_keys).
//
// A key is SHA-256 over the JSON of a dictionary; element.h prepares all of it but the
// list of dependencies, which comes first but for a version:
//
//   weak    ["project", "name"] of every dependency at build time, through others too;
//           with its weak key where the dependency is strict or the kind rebuilds strictly
//   strict  ["project", "name", "strict key"] of the same, and at the end the weak key
//   strong  the same with the full keys of dependencies: those that artifacts were found under
//
// "Every dependency at build time" is the runtime closure of each direct build
// dependency, in the order of staging. That is a sequence per element, which naively is
// quadratic in time. But the closure of an element begins with that of its first
// dependency: sequences are persistent lists that share their beginnings, and hashes go on
// from states of SHA-256 that are kept along the way. A chain costs the same per element
// however long it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/sha256.h"
#include "loader/elements/element.h"
#include "model/model.h"

namespace sluice::loader {

// The weak key of an element that can't have dependencies: a junction.
std::string key_without_dependencies(const ResolvedElement& element);

// The JSON of the key's dictionary without the keys "dependencies" and "weak-cache-key": what
// an element contributes itself.
std::string key_inputs(const ResolvedElement& element);

class KeyMaker {
 public:
  // Both are indexed by LoadIndex, and must outlive this. `resolved` need be filled for what is
  // asked about.
  KeyMaker(const std::vector<LoadElement>& elements, const std::vector<ResolvedElement>& resolved);

  // The weak and strict keys of an element. Its dependencies' must have been made before. A key
  // that can't be known, because a source of the element or of a dependency has no ref, or its kind
  // isn't supported, is "".
  model::Keys make(LoadIndex element);

  // The key that an element will be built under when the build isn't strict, from the full keys
  // that its dependencies have; "" when one has none. make() must have been called for it.
  std::string strong(LoadIndex element);
  // Sets the full key of an element, before anything that depends on it is made.
  void set_full(LoadIndex element, std::string_view key);

 private:
  // A list of elements: a segment and what comes before it. 0 is the empty one.
  using Sequence = std::uint32_t;

  struct Segment {
    Sequence before = 0;
    // A segment further back, so that going back to a given depth takes logarithmic time.
    Sequence jump = 0;
    std::uint32_t depth = 0;  // number of segments
    std::uint32_t first = 0;  // its own elements, in `runs_`
    std::uint32_t count = 0;
    bool complete = true;                 // every element of the sequence has a strict key
    bool full = true;                     // and every one a full key
    std::uint32_t states[3] = {0, 0, 0};  // kept states of the hash, by flavour; 0 for none
  };

  // A key of 64 digits, without what a string takes beside them.
  class Key {
   public:
    Key() = default;
    explicit Key(std::string_view text) { text.copy(digits_.data(), digits_.size()); }
    bool known() const { return digits_[0] != '\0'; }
    std::string_view text() const { return {digits_.data(), digits_.size()}; }

   private:
    std::array<char, 64> digits_{};
  };

  std::span<const LoadIndex> runtime(LoadIndex element) const { return resolved_[element].runtime; }
  std::span<const LoadIndex> own(const Segment& segment) const {
    return std::span(runs_).subspan(segment.first, segment.count);
  }
  // Makes a segment behind `before` of what was pushed to `runs_` from `first` on; `before` itself
  // when that is nothing.
  Sequence append(Sequence before, std::uint32_t first);
  // The runtime closure of `element`, which is its last itself.
  Sequence runtime_closure(LoadIndex element);
  Sequence build_closure(LoadIndex element);
  // Puts sequences one behind the other, each without what was there before.
  class Union {
   public:
    // With `remember` the result is kept, for others may be made of the same sequences.
    Union(KeyMaker& maker, bool remember) : maker_(maker), remember_(remember) {}
    // Appends a sequence, which holds whatever its elements need at run time.
    void add(Sequence more);
    Sequence result() const { return sequence_; }

   private:
    KeyMaker& maker_;
    bool remember_;
    Sequence sequence_ = 0;
    bool marked_ = false;  // the elements of `sequence_` carry the mark of this round
  };
  bool begins_with(Sequence sequence, Sequence beginning) const;
  // Calls f(segment) for each segment, from the sequence's beginning on.
  template <typename F>
  void forward(Sequence sequence, F&& f) const;

  enum class Flavour { kWeak, kStrict, kStrong };
  // The state of the hash after the sequence, without the bracket that ends it.
  Sha256 state_of(Sequence sequence, Flavour flavour);
  void write_entry(std::string& out, LoadIndex element, const Key* key) const;

  const std::vector<LoadElement>& elements_;
  const std::vector<ResolvedElement>& resolved_;
  std::vector<Key> weak_, strict_;
  std::vector<Key> full_;  // empty until one is set
  std::vector<Segment> segments_;
  std::vector<LoadIndex> runs_;
  std::vector<Sequence> closures_;  // by element; 0 while unknown
  // The results of adding a sequence to another: the same few are built upon again and again.
  std::unordered_map<std::uint64_t, Sequence> united_;
  std::vector<Sha256> states_[3];
  std::vector<std::uint32_t> marks_;  // by element: the round it was last seen in
  std::uint32_t round_ = 0;
  mutable std::vector<Sequence> path_;  // scratch of forward()
};

}  // namespace sluice::loader
