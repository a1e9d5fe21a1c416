// Elements whose kind is only somebody's Python are built by its plugin, in a host of plugins
// (spec/plugins.md): what it calls for is done by what does it for kinds that are built in.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

// The plugin's configure_sandbox() and stage().
Status stage_by_plugin(Build& build);
// Its assemble(), after that.
Result<std::string> assemble_by_plugin(Build& build);
// Its generate_script(); std::nullopt when it has none.
Result<std::optional<std::string>> script_by_plugin(Build& build);

}  // namespace sluice::elements
