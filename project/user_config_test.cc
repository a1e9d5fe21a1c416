#include "project/user_config.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "model/remotes.h"
#include "tests/support/test_directory.h"

namespace sluice::project {
namespace {

class Config {
 public:
  Result<std::unique_ptr<UserConfig>> load(std::string_view text,
                                           const model::SettingsOverrides& overrides = {},
                                           std::uint32_t cpus = 4) {
    directory.write("user.conf", text);
    return load_user_config(directory / "user.conf", overrides, cpus);
  }
  std::string refused(std::string_view text) {
    const auto config = load(text);
    REQUIRE_FALSE(config);
    const Error& error = config.error();
    CHECK(error.provenance.file == directory / "user.conf");
    return fmt::format("{} {}:{} {}", error.reason, error.provenance.line, error.provenance.column,
                       error.message);
  }

  TestDirectory directory;
};

TEST_CASE("defaults are BuildStream's") {
  Config config;
  ::setenv("XDG_CACHE_HOME", "/somewhere/cache", 1);
  const auto loaded = config.load("# nothing\n", {}, 24);
  REQUIRE(loaded);
  const model::Settings& settings = (*loaded)->settings;
  CHECK(settings.cachedir == "/somewhere/cache/buildstream");
  CHECK(settings.sourcedir == "/somewhere/cache/buildstream/sources");
  CHECK(settings.logdir == "/somewhere/cache/buildstream/logs");
  CHECK(settings.builddir == "/somewhere/cache/buildstream/build");
  CHECK(settings.workspacedir == ".");
  CHECK(settings.builders == 4);
  CHECK(settings.fetchers == 10);
  CHECK(settings.network_retries == 2);
  CHECK(settings.max_silent_time == 0);
  CHECK(settings.max_log_size == 0);
  CHECK(settings.max_memory == 0);
  CHECK(settings.tmp_size == 0);
  CHECK(settings.max_jobs == 8);  // as many as CPUs, at most 8
  CHECK(settings.on_error == "quit");
  CHECK(settings.cache_buildtrees == "auto");
  CHECK(settings.build_dependencies == "run");
  CHECK(settings.cache_quota == 0);
  CHECK(settings.key_length == 8);
  CHECK(settings.element_format == "%{state: >12} %{full-key} %{name} %{workspace-dirs}");
  CHECK(settings.message_format == "[%{elapsed}][%{key}][%{element}] %{action} %{message}");
}

TEST_CASE("what the user says, and what the command line says over it") {
  Config config;
  ::setenv("SLUICE_TEST_VALUE", "value", 1);
  constexpr std::string_view kText =
      "cachedir: /c/${SLUICE_TEST_VALUE}/$SLUICE_TEST_NONE/../x\n"
      "scheduler: {builders: 2, on-error: continue}\n"
      "build: {max-jobs: 3, retry-failed: true, dependencies: all, max-silent-time: 600, "
      "max-log-size: 100M, max-memory: 2G, tmp-size: 512M}\n"
      "cache: {quota: 10G, cache-buildtrees: never}\n"
      "logging: {error-lines: 7, debug: true}\n"
      "projects:\n  some:\n    strict: false\n    options: {a: b}\n";
  model::SettingsOverrides overrides;
  overrides.builders = 9;
  overrides.max_jobs = 5;
  const auto loaded = config.load(kText, overrides);
  if (!loaded) FAIL(loaded.error().str());
  const model::Settings& settings = (*loaded)->settings;
  CHECK(settings.cachedir == "/c/value/x");
  CHECK(settings.builders == 9);
  CHECK(settings.max_jobs == 5);
  CHECK(settings.on_error == "continue");
  CHECK(settings.retry_failed);
  CHECK(settings.max_silent_time == 600);
  CHECK(settings.max_log_size == std::uint64_t{100} << 20);
  CHECK(settings.max_memory == std::uint64_t{2} << 30);
  CHECK(settings.tmp_size == std::uint64_t{512} << 20);
  CHECK(settings.cache_quota == std::uint64_t{10} << 30);
  CHECK(settings.error_lines == 7);
  CHECK(settings.debug);
  CHECK(settings.config_file == config.directory / "user.conf");
  REQUIRE((*loaded)->project("some"));
  CHECK(*(*loaded)->project("some") != nullptr);
  CHECK(*(*loaded)->project("other") == nullptr);
}

TEST_CASE("what is wrong or not supported is named with its place") {
  Config config;
  CHECK(config.refused("cachdir: /x\n") == "invalid-data 1:9 Unexpected key: cachdir");
  CHECK(config.refused("scheduler:\n  builder: 3\n") ==
        "invalid-data 2:11 Unexpected key: builder");
  CHECK(config.refused("scheduler:\n  builders: many\n") ==
        "invalid-data 2:12 Value of 'builders' is not of the expected type 'int'");
  CHECK(config.refused("scheduler:\n  builders: -1\n") ==
        "invalid-data 2:12 Value of 'builders' is out of range");
  CHECK(config.refused("scheduler:\n  on-error: stop\n") ==
        "invalid-data 2:12 Value of 'on-error' should be one of 'continue, quit, terminate'");
  CHECK(config.refused("cachedir: relative\n") ==
        "invalid-data 1:10 cachedir must be an absolute path");
  CHECK(config.refused("builddir: /x\n") == "invalid-data 1:10 builddir is obsolete, use cachedir");
  CHECK(config.refused("cache: {quota: 10X}\n") ==
        "invalid-data 1:15 10X is not a valid data size.");
  CHECK(config.refused("cache: {quota: 200%}\n") ==
        "invalid-data 1:15 200% is not a valid percentage value.");
  CHECK(config.refused("build: {dependencies: some}\n") ==
        "invalid-data 1:22 Invalid value for 'dependencies'. Choose 'none', 'run', or 'all'.");
  CHECK(config.refused("artifacts: {servers: [{push: true}]}\n") ==
        "invalid-data 1:22 Dictionary did not contain expected key 'url'");
  CHECK(config.refused("artifacts: {servers: [{url: http://a, auth: {client-key: a.key}}]}\n") ==
        "invalid-data 1:57 'client-key' was specified without 'client-cert'");
  CHECK(config.refused("source-caches: {server: []}\n") ==
        "invalid-data 1:24 Unexpected key: server");
  CHECK(config.refused("remote-execution: {a: b}\n") == "invalid-data 1:22 Unexpected key: a");
  CHECK(config.refused("cache: {low-watermark: half}\n") ==
        "invalid-data 1:23 half is not a valid percentage.");
  CHECK(config.refused("cache: {reserved-disk-space: infinity}\n") ==
        "invalid-data 1:29 Please specify the value in bytes or as a % of full disk space.");
  CHECK(config.refused("logging: {message-format: '%{nonsense} %{message}'}\n") ==
        "invalid-data 1:26 message-format: 'nonsense' is not a variable that can be shown here");
  CHECK(config.refused("logging: {element-format: '%{state:x}'}\n") ==
        "invalid-data 1:26 element-format: 'x' is not an alignment and width");
  CHECK(config.refused("fetch: {source: some}\n") ==
        "invalid-data 1:16 Value of 'source' should be one of 'all, aliases, mirrors, user'");
  CHECK(config.refused("projects: {a: {strct: true}}\n") ==
        "invalid-data 1:22 Unexpected key: strct");
  CHECK_FALSE(load_user_config(config.directory / "none.conf", {}, 1));
}

TEST_CASE("what goes to other machines is read") {
  Config config;
  const auto loaded = config.load(
      "artifacts:\n  override-project-caches: true\n  servers:\n  - {url: 'http://a:1', type: "
      "storage, push: true}\n"
      "cache: {storage-service: {url: http://s, auth: {server-cert: /c}, connection-config: "
      "{retry-limit: 3}}}\n"
      "remote-execution: {execution-service: {url: http://x}}\nfetch: {source: user}\n"
      "projects:\n  own: {artifacts: {servers: [{url: 'http://own:1'}]}, remote-execution: "
      "{action-cache-service: {url: http://y, push: true}, storage-service: {url: http://z}}}\n"
      "  none: {strict: true}\n  bad: {remote-execution: {storage-service: {url: http://z}}}\n");
  if (!loaded) FAIL(loaded.error().str());
  UserConfig& user = **loaded;
  REQUIRE(user.artifacts.servers.size() == 1);
  CHECK(user.artifacts.override_projects);
  CHECK(user.artifacts.servers[0].url == "http://a:1");
  CHECK(user.artifacts.servers[0].type == "storage");
  CHECK(user.artifacts.servers[0].push);
  const model::Settings& settings = user.settings;
  REQUIRE(settings.storage_service);
  CHECK(settings.storage_service->server_cert == "/c");
  CHECK(settings.storage_service->retry_limit == 3);
  CHECK(settings.remote_execution.execution->url == "http://x");
  CHECK(user.fetch_source == UrlPolicy::kUser);
  CHECK(user.warnings.empty());
  // Of the toplevel project the overrides count as a whole.
  REQUIRE(user.use_overrides_of("none"));
  CHECK(settings.remote_execution.execution);
  REQUIRE(user.use_overrides_of("own"));
  CHECK_FALSE(settings.remote_execution.execution);
  CHECK(settings.remote_execution.action_cache->push);
  CHECK(settings.remote_execution.storage->url == "http://z");
  const auto bad = user.use_overrides_of("bad");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message ==
        "At least one of `execution-service` or `action-cache-service` need to be specified in "
        "the 'remote-execution' section");
  std::vector<std::string> wrong;
  const auto own = user.servers("own", "artifacts", user.artifacts, wrong);
  REQUIRE(own);
  REQUIRE(own->configured.size() == 1);
  CHECK(own->configured[0].url == "http://own:1");
  CHECK(own->only_configured);
  const auto global = user.servers("none", "artifacts", user.artifacts, wrong);
  REQUIRE(global);
  REQUIRE(global->configured.size() == 1);
  CHECK(global->configured[0].url == "http://a:1");
}

TEST_CASE("what is no address of a cache is said with its place, and done without") {
  Config config;
  const auto loaded = config.load(
      "artifacts:\n  servers:\n  - url: ftp://a\n  - url: https://cache.example.com/cache1\n");
  if (!loaded) FAIL(loaded.error().str());
  std::vector<std::string> wrong;
  const auto servers = (*loaded)->servers("any", "artifacts", (*loaded)->artifacts, wrong);
  REQUIRE(servers);
  CHECK(servers->configured.size() == 2);
  REQUIRE(wrong.size() == 1);
  CHECK_THAT(
      wrong[0],
      Catch::Contains(
          "user.conf [line 3 column 9]: The URL of a cache has a scheme that caches don't have"));
}

TEST_CASE("addresses of caches") {
  const auto target = [](std::string_view url) {
    const auto address = model::remote_address(url);
    return address ? (address->secure ? "secure " : "") + address->target : "wrong";
  };
  CHECK(target("https://cache.example.com/cache1") == "secure cache.example.com:443");
  CHECK(target("http://cache.example.com:11001/a/b?c=d#e") == "cache.example.com:11001");
  CHECK(target("http://host") == "host:80");
  CHECK(target("http://host/") == "host:80");
  CHECK(target("grpcs://host:1?x") == "secure host:1");
  CHECK(target("http://[::1]:50/x") == "[::1]:50");
  CHECK(target("https://[::1]") == "secure [::1]:443");
  CHECK(target("unix:/run/cache") == "unix:/run/cache");
  for (const char* url :
       {"", "cache.example.com", "ftp://host", "HTTP://host", "http://", "http:///path",
        "http://:50", "http://host:", "http://host:0", "http://host:65536", "http://host:5x",
        "http://ho st", "http://host/\n", "unix:", "http://[::1", "http://::1]:5"}) {
    INFO(url);
    CHECK(target(url) == "wrong");
  }
  CHECK(model::remote_address("http://name:secret@host").error().message.find("secret") ==
        std::string::npos);
}

TEST_CASE("a share of the disk is a size") {
  Config config;
  const auto half = config.load("cachedir: /nowhere/at/all\ncache: {quota: 50%}\n");
  const auto all = config.load("cachedir: /nowhere/at/all\ncache: {quota: 100%}\n");
  REQUIRE(half);
  REQUIRE(all);
  CHECK((*half)->settings.cache_quota > 0);
  CHECK((*all)->settings.cache_quota / 2 == (*half)->settings.cache_quota);
}

}  // namespace
}  // namespace sluice::project
