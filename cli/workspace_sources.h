// The sources of an element whose workspace is opened, where kinds have something else in
// workspaces than what they stage: git has a repository to work in.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/sources.h"

namespace sluice::cli {

// Whether one of the element's sources is of such a kind.
Result<bool> sets_up_workspaces(Sources& sources, model::ElementIndex element);

// Sets up all of the element's sources, in their order, in `directory`, which is empty. What that
// needs beyond what was fetched is fetched.
Status set_up_workspace(Invocation& invocation, Sources& sources, model::ElementIndex element,
                        const std::string& directory);

}  // namespace sluice::cli
