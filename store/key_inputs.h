// Key inputs are what the key of an artifact was made of, kept when Sluice builds it, so that
// `explain` can say what has changed since.
//
//   CACHEDIR/sluice/key-inputs/ab/CDEF...   the JSON of model::ElementBody::key_inputs
//
// is one file for each strong key, "abcdef...". Nothing that BuildStream reads refers to it, and an
// artifact that it built has none. The keys of dependencies aren't in it: the artifact has them.
// Nor does it prove anything by itself: a reader makes the key of both (key_of())
// and compares.
//
// A file goes with the refs of its key, in Artifacts::remove() and expire_to(); what was left by
// others' expiry is swept by expire_to().
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

struct KeyDependency {
  std::string project, element, key;
};
// The strict or strong key that comes of these: whether inputs that were kept somewhere are those
// of a key. `inputs` that aren't the inputs of a key at all give a key as well, of something else.
std::string key_of(std::string_view inputs, std::span<const KeyDependency> dependencies,
                   std::string_view weak_key);

// Writes the inputs of a key, atomically, which comes before the artifact's refs are written.
// "artifact"/"bad-artifact" for what is no key.
Status keep_key_inputs(Cas& cas, std::string_view key, std::string_view inputs);
// The inputs that were kept of a key; std::nullopt when there are none.
Result<std::optional<std::string>> read_key_inputs(const Cas& cas, std::string_view key);
void drop_key_inputs(const Cas& cas, std::string_view key);
// Removes the inputs whose key isn't in `keys` and which are older than an hour: an artifact's refs
// come after them.
Status sweep_key_inputs(const Cas& cas, const std::unordered_set<std::string>& keys);

}  // namespace sluice::store
