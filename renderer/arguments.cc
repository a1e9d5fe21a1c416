#include "renderer/arguments.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace sluice::renderer {

Result<Arguments> Arguments::read(const std::vector<std::string>& given,
                                  const std::vector<std::string_view>& valued,
                                  const std::vector<std::string_view>& flags) {
  Arguments out;
  const auto is_in = [](const std::vector<std::string_view>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  bool words_only = false;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string one = given[i] == "-h" ? "--help" : given[i];
    if (words_only || !one.starts_with("--")) {
      out.words_.push_back(one);
      continue;
    }
    if (one == "--") {
      words_only = true;
      continue;
    }
    const std::size_t equals = one.find('=');
    const std::string name = one.substr(0, equals);
    if (equals == std::string::npos && is_in(flags, name)) {
      out.values_[name].emplace_back();
      continue;
    }
    if (!is_in(valued, name))
      return fail("app", "usage", fmt::format("{}: there is no such option", name));
    if (equals == std::string::npos && i + 1 == given.size())
      return fail("app", "usage", fmt::format("{} takes a value", name));
    out.values_[name].push_back(equals == std::string::npos ? given[++i] : one.substr(equals + 1));
  }
  return out;
}

Status Arguments::no_words() const {
  if (words_.empty()) return {};
  return fail("app", "usage", fmt::format("'{}': there are only options", words_[0]));
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

Result<std::uint64_t> Arguments::number(std::string_view name, std::uint64_t otherwise,
                                        std::uint64_t least, std::uint64_t most) const {
  if (!has(name)) return otherwise;
  const std::string value = text(name);
  std::uint64_t read = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), read);
  if (error != std::errc() || end != value.data() + value.size() || read < least || read > most) {
    return fail("app", "usage",
                fmt::format("{}: '{}' is not a number from {} to {}", name, value, least, most));
  }
  return read;
}

}  // namespace sluice::renderer
