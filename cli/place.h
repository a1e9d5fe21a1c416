// Places in users' files: the project that a directory is in, and the lines that errors are about.
#pragma once

#include <string>

#include "base/result.h"
#include "project/places.h"

namespace sluice::cli {

using project::find_project;

// The line that a place names, with a mark below its column (base/excerpt.h), for the terminal.
// `directory` is where the command works: elements and files of its project are found from there.
// "" when the place is in no file that is there still (project/places.h), such as one of Sluice's
// own. Passwords in the line are hidden; a place in one of them is marked where it begins.
std::string place_text(const Provenance& place, const std::string& directory);

}  // namespace sluice::cli
