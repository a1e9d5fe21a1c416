// Why an element will be built: the analysis behind `explain`, without its words.
//
// An artifact that Sluice built has its key inputs kept beside it (store/key_inputs.h), and is
// compared entry by entry. Of any other there is what BuildStream puts into artifacts: keys,
// dependencies with their keys, variables, environment, sandbox and public data; its weak key tells
// whether anything but dependencies changed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/comparison.h"
#include "cli/graph.h"
#include "cli/states.h"

namespace sluice::cli {

struct Cause {
  std::string element;             // full name
  std::vector<std::string> chain;  // from the explained element to this one
  // changed: see `comparison`; gone: the artifact of then isn't in the cache any more.
  std::string what;
  std::string before, after;  // keys
  Comparison comparison;
};

struct Explanation {
  std::string element;
  // no-artifact (its kind makes none), no-reference, unsupported, unknown-key (of a dependency),
  // cached, failed (a failed build is cached), incomplete (blobs of the artifact are gone),
  // never-built, changed.
  std::string verdict;
  std::string detail;  // the reason, the error of a failed build, the elements in the way
  std::string key;     // full; "" while unknown
  std::string weak_key;
  bool strict = true;  // the mode that was asked for
  // With what a changed element was compared.
  std::string compared_key;
  bool compared_success = true;
  std::optional<Comparison> comparison;
  std::vector<Cause> causes;  // among dependencies, nearest first
};

// Puts bodies with key inputs into the snapshot that is explained; called once, for few elements of
// many.
using LoadBodies = std::function<Status(const std::vector<model::ElementIndex>&)>;

// Explains an element of `snapshot`, which needs no bodies, and whose states `states` are.
// `against` is the beginning of the key to compare with; "": the artifact that was used last.
// Errors: "app"/"no-such-artifact", those of `load_bodies` and of the store.
Result<Explanation> explain(const model::Snapshot& snapshot, States& states,
                            model::ElementIndex element, const std::string& against,
                            const LoadBodies& load_bodies);

}  // namespace sluice::cli
