// How bst introduces an error of loading: by the file that it is in.
#pragma once

#include <string_view>

#include "base/result.h"

namespace sluice::loader {

inline std::string_view error_prefix(const Error& error) {
  if (error.reason == "missing-project-conf") return "";
  std::string_view file = error.provenance.file;
  file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1: nothing
  if (file == "project.conf") return "Error loading project";
  if (file == "buildstream.conf" || file == "buildstream2.conf") return "Error loading user configuration";
  return "";
}

}  // namespace sluice::loader
