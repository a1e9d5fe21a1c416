#include "elements/makeflags.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/text.h"
#include "wire/messages.h"

namespace sluice::elements {

namespace {

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A text with `old` replaced where it says a number of processes.
std::string with_count(std::string_view name, std::string_view text, std::string_view old,
                       std::string_view now) {
  if (text == old && lower(name).find("jobs") != std::string::npos) return std::string(now);
  std::string out;
  bool bare = false;  // the last word was a -j whose number may be this one
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    const bool blank = word.empty();
    for (const std::string_view option : {"--jobs=", "-j", ""}) {
      if (!word.starts_with(option) || (option.empty() && !bare)) continue;
      if (word.substr(option.size()) != old) continue;
      out += option;
      out += now;
      word = {};
      break;
    }
    out += word;
    if (!blank) bare = word == "-j" || word == "--jobs";
    if (end < text.size()) out += ' ';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
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

model::StringMap with_jobs(model::StringMap environment, const model::ElementBody& body,
                           std::uint32_t jobs) {
  const std::string* const loaded = model::find_string(body.variables, "max-jobs");
  const std::string* const alone = model::find_string(body.variables, "notparallel");
  const std::string now = std::to_string(jobs);
  if (loaded == nullptr || *loaded == now || jobs == 0 ||
      (alone != nullptr && lower(*alone) == "true"))
    return environment;
  const auto& names = body.environment_nocache;
  for (auto& [name, value] : environment) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      value = with_count(name, value, *loaded, now);
  }
  return environment;
}

}  // namespace sluice::elements
