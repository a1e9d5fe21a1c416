// Versions and requirements of Python packages (PEP 440, PEP 508), as far as a
// `package-name:` of project.conf may say them: "buildstream-plugins >=2.1,<3".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loader {

struct PythonVersion {
  std::int64_t epoch = 0;
  std::vector<std::int64_t> release;
  int pre_kind = 0;  // 0: none, 1: a, 2: b, 3: rc
  std::int64_t pre = 0;
  std::optional<std::int64_t> post;
  std::optional<std::int64_t> dev;
  std::string local;

  bool is_prerelease() const { return pre_kind != 0 || dev.has_value(); }
};

// The version that `text` is; nullopt when it is none.
std::optional<PythonVersion> parse_python_version(std::string_view text);

// Below, at or above 0 as `a` is to `b`. Local parts don't count.
int compare(const PythonVersion& a, const PythonVersion& b);

struct PythonRequirement {
  struct Specifier {
    std::string op;       // "==", "~=", ...
    std::string version;  // without ".*"
    bool wildcard = false;
  };
  std::string name;
  std::vector<Specifier> specifiers;

  // Whether a version fits, pre-releases included.
  bool contains(std::string_view version) const;
};

// The requirement that `text` is; nullopt when it is malformed.
std::optional<PythonRequirement> parse_python_requirement(std::string_view text);

// The normal form of a package's name: names that mean one package have the same.
std::string normal_package_name(std::string_view name);

}  // namespace sluice::loader
