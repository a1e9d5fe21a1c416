// Version is a version of a distribution of Python as PEP 440 has it, in the order that Python's
// `packaging` gives such versions.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::sources::pypi {

class Version {
 public:
  // std::nullopt for a text that is no version.
  static std::optional<Version> parse(std::string_view text);

  // As `packaging` writes it: "1.0rc1" for "v1.0-c.01".
  std::string str() const;
  bool is_prerelease() const { return pre_ || dev_; }

  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }

 private:
  // Digits without zeros in front, of any length.
  using Number = std::string;

  Number epoch_ = "0";
  std::vector<Number> release_;
  std::optional<std::pair<std::string, Number>> pre_;  // "a", "b" or "rc"
  std::optional<Number> post_, dev_;
  std::vector<std::string> local_;
};

// The version that the name of a source distribution tells ("NAME-VERSION.tar.gz"); std::nullopt
// when the name is none of such.
std::optional<Version> version_of_sdist(std::string_view filename);

}  // namespace sluice::sources::pypi
