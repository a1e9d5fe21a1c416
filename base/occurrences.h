// Counts what happens over and over, by name, so that a log says it the first time and then ever
// more rarely: others may cause it as often as they like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice {

// One thread.
class Occurrences {
 public:
  // Names that are told from each other; all others count as one.
  static constexpr std::size_t kMostNames = 1024;

  // How often it has happened, this time included, when that is to be said: the first, second,
  // fourth, eighth... time; else 0.
  std::uint64_t note(std::string_view name) {
    auto found = counts_.find(name);
    if (found == counts_.end())
      found = counts_.emplace(counts_.size() < kMostNames ? name : std::string_view(), 0).first;
    const std::uint64_t count = ++found->second;
    return (count & (count - 1)) == 0 ? count : 0;
  }

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

}  // namespace sluice
