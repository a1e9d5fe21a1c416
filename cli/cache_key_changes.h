// What differs between two sets of key inputs, in the words of who writes elements.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::cli {

struct Change {
  // source | config | environment | public | sandbox | kind | plugin-version | build-root |
  // fatal-warnings | format; variable is no part of a key, but tells where others come from.
  std::string what;
  // Where in that: "install-commands[1]", "PATH", "1 (tar): ref". "" for all of it.
  std::string where;
  // Scalars as they are, anything else as JSON. None: it wasn't, or isn't, there.
  std::optional<std::string> before, after;
  // of the content of a local source: where that lies; before and after are its digests' hashes
  std::string path;
};

// Two texts as of model::ElementBody::key_inputs. `now` is the element that `after` is of; names of
// its sources' fields come from it. Error: "app"/"bad-key-inputs" for what is no JSON map.
Result<std::vector<Change>> compare_key_inputs(std::string_view before, std::string_view after,
                                               const model::ElementBody& now);

// Name by name; an environment, or variables.
std::vector<Change> compare_maps(const std::string& what, const model::StringMap& before,
                                 const model::StringMap& after);
// Data as `public` and `sandbox` have it.
std::vector<Change> compare_nodes(const std::string& what, const model::Node& before,
                                  const model::Node& after);

// Lines with "- " and "+ " before them: of texts of several lines just what lies between their
// common beginning and end.
std::vector<std::string> changed_lines(const Change& change);

}  // namespace sluice::cli
