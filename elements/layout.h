// Layout says which dependencies are staged where; the kinds that run commands begin with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "elements/build.h"
#include "model/model.h"
#include "sandbox/shell_script.h"

namespace sluice::elements {

// Dependencies are staged with what they need at run time, and may be staged in several places.
struct Layout {
  std::map<std::string, std::vector<model::ElementIndex>> locations;
  std::map<std::string, std::vector<model::ElementIndex>> digest_environment;
};

// The direct dependencies, in staging order, at the `location` of their configurations; "/" without
// one.
Layout layout_of(const Build& build);
// Stages all of it, and integrates what is staged in "/".
Status stage_layout(Build& build, const Layout& layout);

// Adds a command for a shell of its own.
void add_command(sandbox::ShellScript& script, Build& build, const std::string& raw);

}  // namespace sluice::elements
