// Split rules say to which domains an artifact's files belong: its public data has them, and
// several kinds of elements take a part of the files by them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "base/result.h"
#include "model/model.h"
#include "store/cas.h"

namespace sluice::elements {

// The split rules of one artifact (public data bst.split-rules).
class SplitRules {
 public:
  explicit SplitRules(const model::Node& public_data);

  // Choice says which domains are wanted, as Element.__split_filter() of BuildStream has it.
  // Domains that the element doesn't have count for nothing.
  struct Choice {
    std::vector<std::string> include;  // empty: all domains
    std::vector<std::string> exclude;
    bool orphans = true;

    bool everything() const { return include.empty() && exclude.empty() && orphans; }
  };
  // Whether `path`, relative, is chosen.
  bool selects(const std::string& path, const Choice& choice) const;

 private:
  std::vector<std::pair<std::string, GlobSet>> domains_;
};

// The paths, relative, that `choice` selects of an artifact.
Result<std::vector<std::string>> manifest_of(const store::Cas& cas,
                                             const model::ArtifactRef& artifact,
                                             const SplitRules::Choice& choice);

}  // namespace sluice::elements
