// Which elements a command means, and in which order (buildstream/_pipeline.py and
// Element._dependencies).
#pragma once

#include <vector>

#include "loader/elements/element.h"
#include "loader/elements/graph.h"
#include "loader/loader.h"

namespace sluice::loader {

// The elements in scope of all targets, each once, dependencies first: the order of staging.
std::vector<LoadIndex> in_scope(const std::vector<ResolvedElement>& elements,
                                const std::vector<LoadIndex>& targets, Deps deps);

// The targets, each once; in place of a filter, what it filters.
std::vector<LoadIndex> redirected(const Graph& graph, const std::vector<ResolvedElement>& elements,
                                  const std::vector<LoadIndex>& targets);

// `selected` without what only `except` needs: elements that targets and exceptions share go, with
// all that is reachable only through them. Targets themselves stay.
std::vector<LoadIndex> except_elements(const std::vector<ResolvedElement>& elements,
                                       const std::vector<LoadIndex>& targets,
                                       std::vector<LoadIndex> selected,
                                       const std::vector<LoadIndex>& except);

}  // namespace sluice::loader
