// Every option of the command line that replaces configuration, from its words to what is loaded:
// by the real sluice-loader.
#include <cstdlib>
#include <map>
#include <type_traits>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "cli/load.h"
#include "cli/options.h"
#include "model/settings_overrides.h"
#include "tests/support/test_directory.h"
#include "wire/snapshot.h"

namespace sluice::cli {
namespace {

// Values that no configuration has here.
const std::map<std::string, std::vector<std::string>, std::less<>> kOptions = {
    {"builders", {"--builders", "7"}},
    {"fetchers", {"--fetchers", "7"}},
    {"pushers", {"--pushers", "7"}},
    {"network_retries", {"--network-retries", "7"}},
    {"max_jobs", {"--max-jobs", "77"}},
    {"error_lines", {"--error-lines", "7"}},
    {"message_lines", {"--message-lines", "7"}},
    {"on_error", {"--on-error", "terminate"}},
    {"cache_buildtrees", {"--cache-buildtrees", "never"}},
    {"strict", {"--no-strict"}},
    {"debug", {"--debug"}},
    {"verbose", {"--no-verbose"}},
    {"jobserver", {"--jobserver"}},
    {"pull_buildtrees", {"--pull-buildtrees"}},
    {"default_mirror", {"--default-mirror", "two"}},
};

class ProjectDirectory {
 public:
  ProjectDirectory() {
    ::setenv("XDG_CACHE_HOME", (path_ + "/cache").c_str(), 1);
    write("user.conf", "cachedir: " + path_ + "/store\n");
    write("project.conf",
          "name: it\nmin-version: 2.0\naliases: {up: 'http://up/'}\nmirrors:\n"
          "- name: one\n  aliases: {up: ['http://one/']}\n- name: two\n  aliases: {up: "
          "['http://two/']}\n");
    write("it.bst", "kind: import\nsources: [{kind: tar, url: 'up:it.tar', ref: abc}]\n");
  }
  ~ProjectDirectory() { ::unsetenv("XDG_CACHE_HOME"); }

  LoadedProject load(const GlobalOptions& global) const {
    wire::LoadArguments arguments = load_arguments(global);
    arguments.what.targets = {"it.bst"};
    auto loaded = load_once(arguments);
    if (!loaded) FAIL(loaded.error().str());
    return std::move(*loaded);
  }
  GlobalOptions options(std::vector<std::string> more) const {
    std::vector<std::string> words = {"--config", path_ + "/user.conf", "--directory", path_};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("show");
    const CommandLine line = parse_command_line(words);
    INFO(line.output);
    REQUIRE(line.command);
    return line.global;
  }

 private:
  void write(const std::string& name, const std::string& text) const {
    REQUIRE(write_file_atomic(path_ + "/" + name, text));
  }
  TestDirectory directory_;
  const std::string path_ = directory_.str();
};

std::string first_url(const LoadedProject& loaded) {
  const auto body = wire::unpack_body(loaded.snapshot.elements.at(0).body);
  REQUIRE(body);
  return body->sources.at(0).urls.at(0);
}

}  // namespace

TEST_CASE("an override of the command line is a field that reaches what is loaded") {
  const ProjectDirectory project;
  const LoadedProject plain = project.load(project.options({}));
  const model::SettingsOverrides fields;
  model::each_override(fields, [&](std::string_view name, const auto&, auto setting) {
    CAPTURE(name);
    const auto option = kOptions.find(name);
    REQUIRE(option != kOptions.end());
    const GlobalOptions global = project.options(option->second);
    const LoadedProject loaded = project.load(global);
    model::each_override(global.overrides, [&](std::string_view other, const auto& value, auto) {
      CAPTURE(other);
      CHECK(value.has_value() == (other == name));
    });
    if constexpr (std::is_null_pointer_v<decltype(setting)>) {
      // No setting: the project has it.
      REQUIRE(name == "default_mirror");
      CHECK(first_url(plain) == "http://one/it.tar");
      CHECK(first_url(loaded) == "http://two/it.tar");
    } else {
      model::Settings given = plain.snapshot.settings;
      model::apply(global.overrides, given);
      CHECK_FALSE(given.*setting == plain.snapshot.settings.*setting);
      CHECK(loaded.snapshot.settings.*setting == given.*setting);
    }
  });
}

}  // namespace sluice::cli
