// Places in users' files: the project that a directory is in, and the lines that errors are about.
#pragma once

#include <string>

#include "base/result.h"

namespace sluice::cli {

// The directory itself or the next one above it that has a project.conf; "" when there is none.
std::string find_project(std::string directory);

// The file that the place of an error names, where it is: `directory` is where the command works.
// "" when it is in no file that is there still.
std::string file_of_place(const std::string& name, const std::string& directory);

// The line that a place names, with a mark below its column (base/excerpt.h), for the terminal.
// `directory` is where the command works: elements and files of its project are found from there.
// "" when the place is in no file that is there still, such as one of another project or one of
// Sluice's own. Passwords in the line are hidden.
std::string place_text(const Provenance& place, const std::string& directory);

}  // namespace sluice::cli
