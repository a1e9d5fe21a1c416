// Comparisons (comparison.h) in words and as JSON, as `explain` and `artifact diff` show them.
#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/comparison.h"

namespace sluice::cli {

// The front of a key, coloured; "?" for one that isn't known.
std::string brief(const std::string& key, std::size_t length);
// Lines, each with `indent` times two blanks before it. Values are as they are in keys, so URLs may
// have credentials in them, and they may have codes: whoever prints it takes these away.
std::string comparison_text(const Comparison& comparison, std::size_t key_length,
                            std::size_t indent);
// docs/commands/explain.md, "A comparison".
nlohmann::ordered_json comparison_json(const Comparison& comparison);

}  // namespace sluice::cli
