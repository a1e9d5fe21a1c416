#include "project/cache_servers.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/try.h"
#include "model/remotes.h"

namespace sluice::project {

namespace {

std::string resolve(std::string_view path, std::string_view directory) {
  std::string resolved(path);
  if (path == "~" || path.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    resolved = fmt::format("{}{}", home != nullptr ? home : "", path.substr(1));
  }
  return directory.empty() ? resolved : join(directory, resolved);
}

Status read_auth(const Node& node, std::string_view directory, Remote& remote) {
  CHECK(validate_keys(node, {"server-cert", "client-key", "client-cert", "access-token",
                             "access-token-reload-interval"}));
  const auto read = [&](std::string_view key, std::string& value) -> Status {
    const std::string_view path = TRY(get_string(node, key, ""));
    if (!path.empty()) value = resolve(path, directory);
    return {};
  };
  CHECK(read("server-cert", remote.server_cert));
  CHECK(read("client-key", remote.client_key));
  CHECK(read("client-cert", remote.client_cert));
  CHECK(read("access-token", remote.access_token));
  remote.access_token_reload_interval = TRY(find_int(node, "access-token-reload-interval"));
  if (!remote.client_key.empty() && remote.client_cert.empty()) {
    return invalid_data(*node.find("client-key"),
                        "'client-key' was specified without 'client-cert'");
  }
  if (!remote.client_cert.empty() && remote.client_key.empty()) {
    return invalid_data(*node.find("client-cert"),
                        "'client-cert' was specified without 'client-key'");
  }
  return {};
}

// Reads what all services have. The caller has checked that there are no other keys.
Status read_common(const Node& node, std::string_view directory, Remote& remote) {
  const Node& url = *TRY(get_scalar(node, "url"));
  if (url.text.empty()) return invalid_data(url, "empty artifact cache URL");
  remote.url = url.text;
  remote.instance_name = TRY(get_string(node, "instance-name", ""));
  if (const Node* auth = TRY(find_map(node, "auth")); auth != nullptr && !auth->empty())
    CHECK(read_auth(*auth, directory, remote));
  if (const Node* connection = TRY(find_map(node, "connection-config"))) {
    remote.keepalive_time = TRY(find_int(*connection, "keepalive-time"));
    remote.retry_limit = TRY(find_int(*connection, "retry-limit"));
    remote.retry_delay = TRY(find_int(*connection, "retry-delay"));
    remote.request_timeout = TRY(find_int(*connection, "request-timeout"));
  }
  remote.provenance = provenance(url);
  return {};
}

}  // namespace

void check_address(const Remote& remote, std::vector<std::string>& warnings) {
  const auto address = model::remote_address(remote.url);
  if (address) return;
  std::string warning = fmt::format("{}: {}", remote.provenance.str(), address.error().message);
  if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end())
    warnings.push_back(std::move(warning));
}

Result<Remote> read_remote(const Node& node, std::string_view directory) {
  Remote remote;
  if (node.contains("type")) {
    static constexpr std::string_view kTypes[] = {"index", "storage", "endpoint", "all"};
    remote.type = TRY(get_enum(node, "type", kTypes));
  }
  remote.push = TRY(get_bool(node, "push", false));
  CHECK(validate_keys(node, {"url", "instance-name", "auth", "connection-config", "type", "push"}));
  CHECK(read_common(node, directory, remote));
  return remote;
}

Result<Remote> read_execution_remote(const Node& node, bool action_cache) {
  Remote remote;
  remote.type = "endpoint";
  if (action_cache) {
    remote.push = TRY(get_bool(node, "push", false));
    CHECK(validate_keys(node, {"url", "instance-name", "auth", "connection-config", "push"}));
  } else {
    CHECK(validate_keys(node, {"url", "instance-name", "auth", "connection-config"}));
  }
  CHECK(read_common(node, {}, remote));
  return remote;
}

Result<CacheConfig> read_cache_config(const Node& node) {
  CHECK(validate_keys(node, {"override-project-caches", "servers"}));
  CacheConfig config;
  const Node* servers = TRY(find_list(node, "servers"));
  if (servers != nullptr) {
    for (const Node* server : servers->items()) {
      if (!server->is_map())
        return invalid_data(*server, "Value of 'servers' is not one of the following: dict.");
    }
  }
  config.override_projects = TRY(get_bool(node, "override-project-caches", false));
  if (servers == nullptr) return config;
  for (const Node* server : servers->items()) config.servers.push_back(TRY(read_remote(*server)));
  return config;
}

Result<model::RemoteExecution> read_remote_execution(const Node& node, bool storage) {
  CHECK(validate_keys(node, {"execution-service", "storage-service", "action-cache-service"}));
  const Node* execution = TRY(find_map(node, "execution-service"));
  const Node* storage_service = TRY(find_map(node, "storage-service"));
  if ((storage_service == nullptr || storage_service->empty()) && !storage) {
    return invalid_data(node,
                        "Remote execution requires 'storage-service' to be specified in the "
                        "'remote-execution' section "
                        "if not already specified globally in the 'cache' section");
  }
  const Node* action = TRY(find_map(node, "action-cache-service"));
  const auto given = [](const Node* section) { return section != nullptr && !section->empty(); };
  if (!given(execution) && !given(action)) {
    return invalid_data(
        node,
        "At least one of `execution-service` or `action-cache-service` need to be specified in the "
        "'remote-execution' section");
  }
  model::RemoteExecution config;
  if (given(execution)) config.execution = TRY(read_execution_remote(*execution, false));
  if (given(storage_service)) config.storage = TRY(read_execution_remote(*storage_service, false));
  if (given(action)) config.action_cache = TRY(read_execution_remote(*action, true));
  return config;
}

}  // namespace sluice::project
