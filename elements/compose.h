// The compose kind: a selection of its dependencies' files by split domains, integrated.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "elements/build.h"
#include "elements/split_rules.h"

namespace sluice::elements {

// A boolean of an element's configuration, which the loader has checked.
bool truth(const model::Node& config, std::string_view key, bool otherwise);

Result<std::string> assemble_compose(Build& build);

}  // namespace sluice::elements
