#include "cli/remote_option.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::cli {

namespace {

tl::unexpected<Error> wrong(std::string message) {
  return fail("app", "invalid-remote", std::move(message));
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  return error ? path : (here / path).string();
}

// Sets a key of a remote's description; where `push` is given otherwise there is no key of that
// name.
Status set(model::Remote& remote, const std::string& key, const std::string& value,
           std::optional<bool> push) {
  const std::pair<std::string_view, std::string*> texts[] = {
      {"url", &remote.url}, {"instance-name", &remote.instance_name}};
  const std::pair<std::string_view, std::string*> files[] = {
      {"server-cert", &remote.server_cert},
      {"client-key", &remote.client_key},
      {"client-cert", &remote.client_cert},
      {"access-token", &remote.access_token}};
  for (const auto& [name, into] : texts) {
    if (key != name) continue;
    *into = value;
    return {};
  }
  for (const auto& [name, into] : files) {
    if (key != name) continue;
    *into = absolute(value);
    return {};
  }
  if (key == "type") {
    if (value != "index" && value != "storage" && value != "all")
      return wrong("Value for remote 'type' must be one of: index, storage, all");
    remote.type = value;
  } else if (key == "push") {
    if (push)
      return wrong(
          fmt::format("The 'push' key is invalid and assumed to be {}", *push ? "True" : "False"));
    if (value != "True" && value != "true" && value != "False" && value != "false")
      return wrong("Value for 'push' must be 'True' or 'False'");
    remote.push = value == "True" || value == "true";
  } else {
    return wrong(fmt::format("Unexpected key '{}' encountered", key));
  }
  return {};
}

}  // namespace

Result<model::Remote> read_remote(const std::string& text, std::optional<bool> push) {
  model::Remote remote;
  remote.push = push.value_or(true);
  if (text.find(',') == std::string::npos) {
    remote.url = text;
  } else {
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find(',', at), text.size());
      const std::string part = text.substr(at, end - at);
      at = end + 1;
      const std::size_t equals = part.find('=');
      if (equals == std::string::npos || part.find('=', equals + 1) != std::string::npos) {
        return wrong(
            fmt::format("Invalid format '{}' found in remote specification: {}", part, text));
      }
      CHECK(set(remote, part.substr(0, equals), part.substr(equals + 1), push));
    }
  }
  if (remote.url.empty()) return wrong("No URL specified in remote");
  return remote;
}

}  // namespace sluice::cli
