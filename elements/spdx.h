// The SPDX document that collect_manifest writes in place of its own list.
#pragma once

#include <functional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "model/node.h"

namespace sluice::elements {

// `config` is that of the element. Each of `modules`, the own list, has what BuildStream's source
// info says of its sources in `infos`; null where that isn't known, and the module counts. `warn`
// is told why a package has the name of its element.
Result<nlohmann::ordered_json> spdx_document(
    const model::Node& config, const model::NodeList& modules, const model::NodeList& infos,
    const std::function<Status(const std::string& text)>& warn);

}  // namespace sluice::elements
