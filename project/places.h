// The files that names mean which errors and records have, for who has no loader. Nothing is
// evaluated: what a project decides by its options, and what it includes, isn't seen.
#pragma once

#include <string>

namespace sluice::project {

// The directory itself or the next one above it that has a project.conf; "" when there is none.
std::string find_project(std::string directory);

// The file called so by a project's errors, or by an element's full name: "x.bst" and "a/b.yaml" of
// the project that `directory` is in, "sub.bst:x.bst" of the one behind the junction sub.bst, where
// that is a directory of this project or is staged there. A file's own path is its own name. ""
// when there is no such file, or none that a person would have written.
std::string file_of(const std::string& name, const std::string& directory);
// The same, but what is staged is no file of anybody's: "" for what no commit of the project has.
std::string committed_file_of(const std::string& name, const std::string& directory);

}  // namespace sluice::project
