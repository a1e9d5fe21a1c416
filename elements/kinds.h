// The kinds of elements that this program builds: one entry each. What they do is
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
  // Set up and fill the root. An error here fails the attempt and caches nothing.
  Status (*stage)(Build& build);
  // Run; the directory to collect. Errors of the domains "sandbox" (but for an
  // unavailable sandbox) and "element" are failures of the element and are cached.
  Result<std::string> (*assemble)(Build& build);
};

// nullptr: not built by this program.
const Kind* find_kind(std::string_view name);
std::vector<std::string_view> kind_names();

// Whether an error of assemble() is the element's own.
bool is_element_failure(const Error& error);

}  // namespace sluice::elements
