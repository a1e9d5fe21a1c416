#include "project/user_config.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "model/line_format.h"
#include "project/builtin.h"
#include "project/lookups.h"
#include "project/project_file.h"
#include "project/yaml.h"

namespace sluice::project {

namespace {

constexpr std::uint32_t kMostDefaultJobs = 8;

Result<std::uint32_t> get_count(const Node& map, std::string_view key) {
  const Node* node = TRY(get_scalar(map, key));
  const std::int64_t value = TRY(as_int(*node, key));
  if (value < 0 || value > 1'000'000)
    return invalid_data(*node, fmt::format("Value of '{}' is out of range", key));
  return static_cast<std::uint32_t>(value);
}

class Reader {
 public:
  Reader(UserConfig& config, Node& root)
      : config_(config), lookups_(*config.lookups), settings_(config.settings), root_(root) {}

  Status run() {
    CHECK(read_directories());
    CHECK(read_cache());
    CHECK(read_logging());
    CHECK(read_scheduler());
    CHECK(read_plugins());
    CHECK(read_build());
    CHECK(read_policies());
    return read_projects();
  }

 private:
  Status read_directories() {
    if (const Node* node = root_.find("builddir"))
      return invalid_data(*node, "builddir is obsolete, use cachedir");
    if (const Node* node = root_.find("artifactdir"))
      return invalid_data(*node, "artifactdir is obsolete");
    CHECK(
        validate_keys(root_, {"cachedir", "sourcedir", "builddir", "logdir", "scheduler", "build",
                              "fetch", "track", "artifacts", "source-caches", "logging", "projects",
                              "cache", "workspacedir", "remote-execution", "plugins"}));
    struct Directory {
      std::string_view key;
      std::string& value;
    };
    for (const Directory& directory :
         {Directory{"cachedir", settings_.cachedir}, Directory{"sourcedir", settings_.sourcedir},
          Directory{"logdir", settings_.logdir},
          Directory{"workspacedir", settings_.workspacedir}}) {
      const Node* node = TRY(get_scalar(root_, directory.key));
      std::string path(node->text);
      if (path == "~" || path.starts_with("~/"))
        path = lookups_.environment("HOME").value_or("") + path.substr(1);
      directory.value = normalize(expand_environment(lookups_, path));
      if (!directory.value.starts_with('/') &&
          !(directory.key == "workspacedir" && directory.value == ".")) {
        return invalid_data(*node, fmt::format("{} must be an absolute path", directory.key));
      }
    }
    settings_.builddir = settings_.cachedir + "/build";
    return {};
  }

  Status read_cache() {
    const Node& cache = *TRY(get_map(root_, "cache"));
    CHECK(validate_keys(cache, {"quota", "reserved-disk-space", "low-watermark", "storage-service",
                                "pull-buildtrees", "cache-buildtrees"}));
    settings_.cache_quota = TRY(read_size(*TRY(get_scalar(cache, "quota"))));
    const Node* reserved = TRY(get_scalar(cache, "reserved-disk-space"));
    config_.cache_reserved = TRY(read_size(*reserved));
    if (reserved->text == "infinity") {
      return invalid_data(*reserved,
                          "Please specify the value in bytes or as a % of full disk space.",
                          "Valid values are, for example: 2G 5%");
    }
    const Node* watermark = TRY(get_scalar(cache, "low-watermark"));
    config_.cache_low_watermark =
        static_cast<std::uint32_t>(std::lround(TRY(read_percentage(*watermark)) * 100));
    if (const Node* storage = TRY(find_map(cache, "storage-service"));
        storage != nullptr && !storage->empty()) {
      settings_.storage_service = TRY(read_remote(*storage));
    }
    CHECK(read_remotes());
    settings_.pull_buildtrees = TRY(get_bool(cache, "pull-buildtrees"));
    static constexpr std::string_view kWhen[] = {"always", "auto", "never"};
    settings_.cache_buildtrees = TRY(get_enum(cache, "cache-buildtrees", kWhen));
    return {};
  }

  // A number of bytes, with a suffix of K, M, G, T or as a share of the disk in %; 0 for
  // "infinity".
  Result<std::uint64_t> read_size(const Node& node) const {
    const std::string text(node.text);
    if (text == "infinity") return 0;
    const auto wrong = [&](std::string_view why) {
      return invalid_data(node, fmt::format("{} {}", text, why),
                          "Please specify the value in bytes or as a % of full disk space.\n\n"
                          "Valid values are, for example: 800M 10G 1T 50%");
    };
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    std::size_t end = digits;
    if (end < text.size() && text[end] == '.') {
      ++end;
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    }
    const std::string unit = text.substr(end);
    const std::size_t power = std::string_view("KMGT").find(unit);
    if (digits == 0 || digits > 15 || unit.size() > 1 ||
        (!unit.empty() && unit != "%" && power == std::string_view::npos)) {
      return wrong("is not a valid data size.");
    }
    if (unit == "%") {
      const double share = std::strtod(text.c_str(), nullptr);
      if (share > 100) return wrong("is not a valid percentage value.");
      std::string volume = settings_.cachedir;
      while (!lookups_.exists(volume) && volume.size() > 1) volume = parent(volume);
      return static_cast<std::uint64_t>(static_cast<double>(TRY(lookups_.disk_size(volume))) *
                                        share / 100);
    }
    if (end != digits) return wrong("is not a valid data size.");
    const std::uint64_t number = std::strtoull(text.c_str(), nullptr, 10);
    const std::uint64_t factor = unit.empty() ? 1 : std::uint64_t{1} << (10 * (power + 1));
    if (number > UINT64_MAX / factor) return wrong("is not a valid data size.");
    return number * factor;
  }

  // A number of bytes, with a suffix of K, M, G or T; 0 or "infinity" is no limit.
  Result<std::uint64_t> read_size_limit(const Node& node) const {
    if (node.text.ends_with('%')) {
      return invalid_data(
          node, fmt::format("{} is not a valid data size.", node.text),
          "Please specify the value in bytes.\n\nValid values are, for example: 800M 10G infinity");
    }
    return read_size(node);
  }

  Result<double> read_percentage(const Node& node) const {
    const std::string text(node.text);
    char* end = nullptr;
    const double share = std::strtod(text.c_str(), &end);
    const bool number = end != text.c_str() && std::string_view(end) == "%";
    if (number && share >= 0 && share <= 100) return share;
    return invalid_data(
        node, fmt::format("{} is not a valid percentage{}.", text, number ? " value" : ""),
        "Please specify the value as a % of the cache quota.");
  }

  Status read_remotes() {
    if (const Node* node = TRY(find_map(root_, "artifacts"))) {
      config_.artifacts = TRY(read_cache_config(*node));
    }
    if (const Node* node = TRY(find_map(root_, "source-caches"))) {
      config_.source_caches = TRY(read_cache_config(*node));
    }
    if (const Node* node = TRY(find_map(root_, "remote-execution")))
      settings_.remote_execution =
          TRY(read_remote_execution(*node, settings_.storage_service.has_value()));
    return {};
  }

  Status read_policies() {
    static constexpr std::string_view kPolicies[] = {"all", "aliases", "mirrors", "user"};
    for (auto& [name, policy] :
         {std::pair<std::string_view, UrlPolicy&>{"fetch", config_.fetch_source},
          {"track", config_.track_source}}) {
      const Node& section = *TRY(get_map(root_, name));
      CHECK(validate_keys(section, {"source"}));
      const std::string_view source = TRY(get_enum(section, "source", kPolicies));
      policy = source == "all"       ? UrlPolicy::kAll
               : source == "aliases" ? UrlPolicy::kAliases
               : source == "mirrors" ? UrlPolicy::kMirrors
                                     : UrlPolicy::kUser;
    }
    return {};
  }

  // Checks a format of lines here, since a renderer that can't read it would show nothing of a
  // whole build.
  static Status check_format(const Node& logging, std::string_view key,
                             const Result<std::vector<model::FormatToken>>& parsed) {
    if (parsed) return {};
    const Node* at = logging.find(key);
    return invalid_data(at != nullptr ? *at : logging, parsed.error().message);
  }

  Status read_logging() {
    const Node& logging = *TRY(get_map(root_, "logging"));
    CHECK(validate_keys(logging, {"key-length", "verbose", "error-lines", "message-lines", "debug",
                                  "element-format", "message-format", "throttle-ui-updates"}));
    settings_.key_length = TRY(get_count(logging, "key-length"));
    settings_.debug = TRY(get_bool(logging, "debug"));
    settings_.verbose = TRY(get_bool(logging, "verbose"));
    settings_.error_lines = TRY(get_count(logging, "error-lines"));
    settings_.message_lines = TRY(get_count(logging, "message-lines"));
    settings_.element_format = TRY(get_string(logging, "element-format"));
    CHECK(check_format(logging, "element-format",
                       model::parse_element_format(settings_.element_format)));
    settings_.message_format = TRY(get_string(logging, "message-format"));
    CHECK(check_format(logging, "message-format",
                       model::parse_message_format(settings_.message_format)));
    // read for its errors: screens are always drawn at their own pace
    TRY(get_bool(logging, "throttle-ui-updates"));
    return {};
  }

  Status read_scheduler() {
    const Node& scheduler = *TRY(get_map(root_, "scheduler"));
    CHECK(validate_keys(scheduler, {"on-error", "fetchers", "builders", "pushers",
                                    "network-retries", "network-timeout", "jobserver"}));
    static constexpr std::string_view kActions[] = {"continue", "quit", "terminate"};
    settings_.on_error = TRY(get_enum(scheduler, "on-error", kActions));
    settings_.fetchers = TRY(get_count(scheduler, "fetchers"));
    settings_.builders = TRY(get_count(scheduler, "builders"));
    settings_.pushers = TRY(get_count(scheduler, "pushers"));
    settings_.network_retries = TRY(get_count(scheduler, "network-retries"));
    // The key is Sluice's own: BuildStream refuses a file that has it.
    if (scheduler.find("network-timeout") != nullptr)
      settings_.network_timeout = TRY(get_count(scheduler, "network-timeout"));
    if (scheduler.find("jobserver") != nullptr)
      settings_.jobserver = TRY(get_bool(scheduler, "jobserver"));
    return {};
  }

  // `plugins:` is Sluice's own.
  Status read_plugins() {
    const Node* plugins = TRY(find_map(root_, "plugins"));
    if (plugins == nullptr) return {};
    model::PluginSettings& settings = settings_.plugins;
    CHECK(validate_keys(*plugins, {"enabled", "sandbox", "python", "timeout", "memory"}));
    settings.enabled = TRY(get_bool(*plugins, "enabled", true));
    settings.sandbox = TRY(get_bool(*plugins, "sandbox", true));
    settings.python = TRY(get_string(*plugins, "python", ""));
    if (const Node* python = plugins->find("python");
        python != nullptr && (python->text.empty() || python->text.front() != '/'))
      return invalid_data(*python, "The interpreter of plugins must be an absolute path");
    if (plugins->contains("timeout")) settings.timeout = TRY(get_count(*plugins, "timeout"));
    if (plugins->contains("memory"))
      settings.memory = TRY(read_size_limit(*TRY(get_scalar(*plugins, "memory"))));
    return {};
  }

  Status read_build() {
    const Node& build = *TRY(get_map(root_, "build"));
    CHECK(validate_keys(build, {"max-jobs", "retry-failed", "dependencies", "max-silent-time",
                                "max-log-size", "max-memory", "tmp-size"}));
    settings_.max_jobs = TRY(get_count(build, "max-jobs"));
    settings_.retry_failed = TRY(get_bool(build, "retry-failed"));
    const Node* dependencies = TRY(get_scalar(build, "dependencies"));
    settings_.build_dependencies = dependencies->text;
    if (dependencies->text != "none" && dependencies->text != "run" &&
        dependencies->text != "all") {
      return invalid_data(*dependencies,
                          "Invalid value for 'dependencies'. Choose 'none', 'run', or 'all'.");
    }
    // The key is Sluice's own, as scheduler.jobserver is.
    if (build.find("max-silent-time") != nullptr)
      settings_.max_silent_time = TRY(get_count(build, "max-silent-time"));
    struct Size {
      std::string_view key;
      std::uint64_t& value;
    };
    for (const Size& size :
         {Size{"max-log-size", settings_.max_log_size}, Size{"max-memory", settings_.max_memory},
          Size{"tmp-size", settings_.tmp_size}}) {
      if (build.find(size.key) != nullptr)
        size.value = TRY(read_size_limit(*TRY(get_scalar(build, size.key))));
    }
    return {};
  }

  Status read_projects() {
    config_.projects = TRY(find_map(root_, "projects"));
    if (config_.projects == nullptr) return {};
    for (const Entry& entry : config_.projects->entries()) {
      const Node& project = *TRY(get_map(*config_.projects, entry.key));
      CHECK(validate_keys(project, {"artifacts", "source-caches", "options", "strict",
                                    "default-mirror", "remote-execution", "mirrors"}));
    }
    return {};
  }

  UserConfig& config_;
  Lookups& lookups_;
  model::Settings& settings_;
  Node& root_;
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::string expand_environment(Lookups& lookups, std::string_view text) {
  std::string expanded;
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '$' && i + 1 < text.size()) {
      const bool braces = text[i + 1] == '{';
      const std::size_t start = i + 1 + (braces ? 1 : 0);
      std::size_t end = start;
      if (braces) {
        end = text.find('}', start);
      } else {
        while (end < text.size() && is_word(text[end])) ++end;
      }
      if (end != std::string_view::npos && end > start) {
        const std::string name(text.substr(start, end - start));
        const std::size_t next = end + (braces ? 1 : 0);
        const auto value = lookups.environment(name);
        // BuildStream sets XDG_CACHE_HOME for itself when it is missing.
        if (name == "XDG_CACHE_HOME" && (!value || value->empty())) {
          expanded += cache_home();
        } else if (value) {
          expanded += *value;
        } else {
          expanded += text.substr(i, next - i);
        }
        i = next;
        continue;
      }
    }
    expanded += text[i++];
  }
  return expanded;
}

Status UserConfig::check_project(std::string_view name) const {
  const Node* overrides = TRY(project(name));
  if (overrides == nullptr) return {};
  for (std::string_view key : {"artifacts", "source-caches"}) {
    if (const Node* node = TRY(find_map(*overrides, key))) CHECK(read_cache_config(*node));
  }
  return {};
}

Status UserConfig::use_overrides_of(std::string_view name) {
  const Node* overrides = TRY(project(name));
  if (overrides == nullptr) return {};
  if (const Node* node = TRY(find_map(*overrides, "remote-execution"))) {
    settings.remote_execution =
        TRY(read_remote_execution(*node, settings.storage_service.has_value()));
  }
  return {};
}

Result<model::CacheServers> UserConfig::servers(std::string_view name, std::string_view key,
                                                const CacheConfig& global,
                                                std::vector<std::string>& wrong) const {
  CacheConfig own;
  if (const Node* overrides = TRY(project(name))) {
    if (const Node* node = TRY(find_map(*overrides, key))) own = TRY(read_cache_config(*node));
  }
  model::CacheServers servers;
  for (const Remote& remote : own.servers.empty() ? global.servers : own.servers) {
    check_address(remote, wrong);
    servers.configured.push_back(remote);
  }
  servers.only_configured = own.override_projects || global.override_projects;
  return servers;
}

Result<const Node*> UserConfig::project(std::string_view name) const {
  if (projects == nullptr) return nullptr;
  return TRY(find_map(*projects, name));
}

static Result<std::unique_ptr<UserConfig>> read_user_config(
    const std::string& path, const model::SettingsOverrides& overrides, std::uint32_t cpus,
    std::shared_ptr<Lookups> lookups) {
  auto config = std::make_unique<UserConfig>();
  config->lookups = lookups != nullptr ? std::move(lookups) : std::make_shared<Lookups>();
  std::string file = path;
  if (file.empty()) {
    for (std::string_view name : {"buildstream2.conf", "buildstream.conf"}) {
      const std::string candidate = fmt::format("{}/{}", config_home(), name);
      if (config->lookups->exists(candidate)) {
        file = candidate;
        break;
      }
    }
  }
  config->defaults_file = {"userconfig.yaml", "userconfig.yaml"};
  Node* root =
      TRY(parse_yaml(config->arena, config->defaults_file, builtin_file("userconfig.yaml")));
  if (!file.empty()) {
    config->file = {file, file};
    std::error_code ignored;
    const auto place = std::filesystem::absolute(file, ignored);
    config->settings.config_file =
        (ignored ? std::filesystem::path(file) : place).lexically_normal().string();
    const Node* user = TRY(load_yaml(*config->lookups, config->arena, config->file));
    CHECK(compose(config->arena, *user, *root));
  }
  CHECK(Reader(*config, *root).run());
  model::apply(overrides, config->settings);
  if (config->settings.max_jobs == 0)
    config->settings.max_jobs = std::clamp(cpus, 1u, kMostDefaultJobs);
  return config;
}

Result<std::unique_ptr<UserConfig>> load_user_config(const std::string& path,
                                                     const model::SettingsOverrides& overrides,
                                                     std::uint32_t cpus,
                                                     std::shared_ptr<Lookups> lookups) {
  auto config = read_user_config(path, overrides, cpus, std::move(lookups));
  if (!config) config.error().introduction = "Error loading user configuration";
  return config;
}

}  // namespace sluice::project
