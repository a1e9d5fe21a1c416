// The main facts of a session as HTML that needs no script: what was built and how it ended, and
// what failed, each with the last lines of its log.
#pragma once

#include <string>

#include "history/history.h"

namespace sluice::renderer {

std::string summary_html(const history::History& history);
// "distro: image.bst check.bst", for the window's title.
std::string summary_title(const history::History& history);

}  // namespace sluice::renderer
