// Laying one map over another, as BuildStream composes project defaults, a kind's
// defaults, the project's overrides and an element (buildstream/node.pyx).
//
// Scalars replace scalars, maps merge, lists replace lists. A map of list directives
// only, (>) append, (<) prepend, (=) replace, changes the list below it, or waits for
// one by merging with the directives below it. Everything else is an error:
// load/illegal-composite, or load/invalid-data for directives mixed with other keys.
#pragma once

#include <string_view>

#include "base/result.h"
#include "yaml/tree.h"

namespace sluice::yaml {

bool is_list_directive(std::string_view key);

// Lays `source` over `target`, which is changed in place, and takes the place (mark) of `source`
// unless that is synthetic.
Status compose(Arena& arena, const Node& source, Node& target);

// Lays `source` under `target`: what `target` says wins. `target` is changed, `source` is used up.
Status compose_under(Arena& arena, Node& source, Node& target);

// Fails (load/trailing-list-directive) when a directive found no list to apply to.
Status assert_composited(const Node& node);

}  // namespace sluice::yaml
