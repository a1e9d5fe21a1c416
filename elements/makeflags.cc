#include "elements/makeflags.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "wire/messages.h"

namespace sluice::elements {

namespace {

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::uint32_t tokens_of_makeflags(std::string_view flags) {
  std::optional<std::uint32_t> jobs;
  bool bare = false;  // the last word was a -j whose number may be the next
  while (!flags.empty()) {
    const auto end = std::min(flags.find(' '), flags.size());
    const std::string_view word = flags.substr(0, end);
    flags.remove_prefix(std::min(end + 1, flags.size()));
    if (word.empty()) continue;
    if (word == "--") break;  // variables follow
    if (word.starts_with("--jobserver")) return 0;
    if (std::exchange(bare, false)) {
      if (const auto value = number(word)) {
        jobs = value;
        continue;
      }
    }
    if (word == "-j" || word == "--jobs") {
      jobs = wire::kMostJobs + 1;
      bare = true;
    } else if (word.starts_with("--jobs=")) {
      jobs = number(word.substr(7));
    } else if (word.starts_with("-j")) {
      jobs = number(word.substr(2));
    }
  }
  if (!jobs || *jobs < 2) return 0;
  return std::min(*jobs - 1, wire::kMostJobs);
}

}  // namespace sluice::elements
