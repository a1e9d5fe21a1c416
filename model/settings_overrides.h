// What stands on the command line in place of the user's configuration. What is unset leaves that
// as it is.
//
// An option of the command line is a field, its row in each_override(), and its words in
// cli/options.cc: whatever carries overrides on the way to the loaded settings (a load request, the
// loader) takes them whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "model/model.h"

namespace sluice::model {

struct SettingsOverrides {
  std::optional<std::uint32_t> builders, fetchers, pushers, network_retries, max_jobs, error_lines,
      message_lines;
  std::optional<std::string> on_error, cache_buildtrees;
  std::optional<bool> strict, debug, verbose, jobserver, pull_buildtrees;
  std::optional<std::string> default_mirror;  // of the toplevel project
  bool operator==(const SettingsOverrides&) const = default;
};

// Calls f(name, field, setting) for each override: `setting` is the member of Settings that it
// replaces, nullptr where it replaces something else. The names of all fields stand in the first
// line, which doesn't compile when one is missing.
template <typename Overrides, typename F>
void each_override(Overrides& overrides, F&& f) {
  auto& [builders, fetchers, pushers, network_retries, max_jobs, error_lines, message_lines,
         on_error, cache_buildtrees, strict, debug, verbose, jobserver, pull_buildtrees,
         default_mirror] = overrides;
  f("builders", builders, &Settings::builders);
  f("fetchers", fetchers, &Settings::fetchers);
  f("pushers", pushers, &Settings::pushers);
  f("network_retries", network_retries, &Settings::network_retries);
  f("max_jobs", max_jobs, &Settings::max_jobs);
  f("error_lines", error_lines, &Settings::error_lines);
  f("message_lines", message_lines, &Settings::message_lines);
  f("on_error", on_error, &Settings::on_error);
  f("cache_buildtrees", cache_buildtrees, &Settings::cache_buildtrees);
  f("strict", strict, &Settings::strict);
  f("debug", debug, &Settings::debug);
  f("verbose", verbose, &Settings::verbose);
  f("jobserver", jobserver, &Settings::jobserver);
  f("pull_buildtrees", pull_buildtrees, &Settings::pull_buildtrees);
  f("default_mirror", default_mirror, nullptr);
}

// The settings with what the command line says.
inline void apply(const SettingsOverrides& overrides, Settings& settings) {
  each_override(overrides, [&](std::string_view, const auto& value, auto setting) {
    if constexpr (!std::is_null_pointer_v<decltype(setting)>) {
      if (value) settings.*setting = *value;
    }
  });
}

}  // namespace sluice::model
