#include "cli/runner_order.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sluice::cli {

Result<std::string> on_one_line(const std::string& path, const std::string& text) {
  const auto json = parse_json(text);
  if (!json.is_object() || !json.contains("sluice-join"))
    return fail("join", "bad-join", fmt::format("{} is no join file", path));
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string shell_word(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace sluice::cli
