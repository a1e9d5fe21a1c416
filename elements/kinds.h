// Kinds of elements that are built here, a row each. What they do is
// BuildStream's (buildelement.py, scriptelement.py, plugins/elements/*.py and
// buildstream_plugins); their default commands and variables come with the snapshot,
// so that the kinds built by commands differ in nothing here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

struct Kind {
  std::string_view name;
  // Sets up and fills the root. An error fails the attempt and caches nothing.
  Status (*stage)(Build& build);
  // Runs what there is to run; gives the directory to collect, "" for none. Errors of the domains "sandbox" (but
  // for an unavailable sandbox) and "element" are failures of the element and are cached.
  Result<std::string> (*assemble)(Build& build);
};

// The row of a kind; nullptr when it isn't built here.
const Kind* find_kind(std::string_view name);
// That of a job's element, which may be built as another kind is (model::ElementBody::builds_as),
// or by its plugin.
const Kind* kind_of(const JobData& data);
std::vector<std::string_view> kind_names();

// Whether an error of assemble() is the element's own.
bool is_element_failure(const Error& error);

}  // namespace sluice::elements
