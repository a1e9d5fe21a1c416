// Names on the command line (or in `defaults`), and the elements that they mean.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"
#include "project/lookups.h"

namespace sluice::loader {

// What may be meant by a name.
using NearNames = std::function<std::vector<std::string>(const std::string& name)>;

// Checks that each is an element's name or a pattern of such. Errors: stream/invalid-element-names;
// its detail has what `near` says of those that aren't, where there is one.
Status check_target_names(const std::vector<std::string>& names, const NearNames& near = {});

// The names, each once, with patterns (base/glob.h) replaced by what they match of the files below
// `element_path`: names first, then the matches of each pattern, in the order of the file system,
// as bst does it. A pattern without a match adds a warning. The walk is noted in `lookups`.
std::vector<std::string> expand_targets(Lookups& lookups, const std::string& element_path,
                                        const std::vector<std::string>& names,
                                        std::vector<std::string>& warnings);

// All files of elements below a directory, files of a directory before those of its subdirectories;
// links to directories aren't followed. `skip` is a directory that isn't entered; may be "".
std::vector<std::string> element_files(Lookups& lookups, const std::string& element_path,
                                       std::string_view skip);

// The elements below `element_path` that may be meant by a name that none of them has: without its
// suffix, with the path of the elements in front (as `prefix`, which may be ""), from another
// directory, or not well typed. The nearest first; the walk is noted in `lookups`.
std::vector<std::string> near_elements(Lookups& lookups, const std::string& element_path,
                                       const std::string& prefix, const std::string& name);

}  // namespace sluice::loader
