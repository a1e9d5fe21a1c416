// `build --check --json`: what came out, as a document.
#pragma once

#include <cstdint>
#include <string>

#include "history/history.h"

namespace sluice::cli {

// The document of a run that has checked elements.
std::string check_json(const history::History& history, const history::Run& run);

}  // namespace sluice::cli
