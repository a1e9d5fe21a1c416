// Where an element's sources come from: %{source-info} of `show`, as each kind's
// Source.collect_source_info() of BuildStream 2.8 and buildstream-plugins tells it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::cli {

// A list of maps, one or more for each source. ("app", "unsupported") names a kind of which this isn't known.
Result<model::Node> source_info(const std::vector<model::Source>& sources);

// utils.guess_version(): of all matches of the pattern in the text the first with the most groups, its
// groups joined by dots. "": there is none. ("app", "bad-pattern") for what isn't understood: patterns are
// ECMAScript's, which are written as Python's are but for named groups, lookbehind and flags.
Result<std::string> guess_version(const std::string& text, const std::string& pattern);

}  // namespace sluice::cli
