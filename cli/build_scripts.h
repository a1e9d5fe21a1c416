// `source checkout --include-build-scripts`: shell scripts that build what was checked out where
// there is no sandbox yet, as when a system is bootstrapped. BuildStream's build-all.sh.in and
// build-module.sh.in say what they expect: SRCDIR is the directory of the checkout, and what an
// element installs is copied onto the root.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/model.h"

namespace sluice::cli {

// Builds the element whose sources lie in $SRCDIR/`directory` and copies what it installs to "/".
// `commands` are those of build_commands_of(), or what a plugin says in their place.
std::string element_build_script(const std::string& directory, const model::Element& element,
                                 const model::ElementBody& body, const std::string& commands);
// Nothing for kinds that are not built by commands in one directory: they get no script, as in
// BuildStream.
std::optional<std::string> build_commands_of(const model::Element& element,
                                             const model::ElementBody& body);

// Runs these scripts of the checkout in their order, and says which one failed.
std::string master_build_script(const std::vector<std::string>& scripts);

}  // namespace sluice::cli
