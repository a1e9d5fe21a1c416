// Packages that are installed for python3, found by looking where it would look; python3
// itself is never run. These are the places, in order: PYTHONPATH, the user's own
// directory, then site-packages and dist-packages of the python3 that PATH finds first, or
// of the virtual environment that this one belongs to. Packages that only a .pth file
// leads to aren't seen.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"
#include "project/lookups.h"

namespace sluice::loader {

struct PythonPackage {
  std::string name;  // as its metadata spells it
  std::string version;
  std::string site;  // the directory that it is installed in
  std::string info;  // its .dist-info or .egg-info
};

class PythonPackages {
 public:
  explicit PythonPackages(Lookups& lookups) : lookups_(lookups) {}

  // A package by its name, in any spelling that means it; nullopt when it isn't installed.
  std::optional<PythonPackage> find(std::string_view name);

  // The file of the module that an entry point of the package names; nullopt when it has none of
  // that name. Errors: plugin/plugin-not-found when there is no such file.
  Result<std::optional<std::string>> entry_point(const PythonPackage& package,
                                                 std::string_view group, std::string_view name);

 private:
  const std::vector<std::string>& sites();
  void add_prefix(const std::string& prefix, const std::vector<std::string>& versions, bool system);
  bool is_file(const std::string& path);
  std::string_view text(const std::string& path);

  Lookups& lookups_;
  Arena arena_;  // of texts read
  std::optional<std::vector<std::string>> sites_;
};

}  // namespace sluice::loader
