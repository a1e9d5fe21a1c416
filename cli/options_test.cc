#include "cli/options.h"

#include <algorithm>
#include <cstdlib>

#include <catch2/catch.hpp>

#include "base/file.h"

using namespace sluice::cli;

namespace {

template <typename T>
T parsed(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments);
  INFO(line.output);
  REQUIRE(line.command);
  REQUIRE(std::holds_alternative<T>(*line.command));
  return std::get<T>(*line.command);
}

CommandLine refused(const std::vector<std::string>& arguments, int status = kUsage) {
  CommandLine line = parse_command_line(arguments);
  CHECK_FALSE(line.command);
  CHECK(line.status == status);
  return line;
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("build") {
  const auto build =
      parsed<BuildCommand>({"build", "-d", "all", "a.bst", "--retry-failed", "b.bst"});
  CHECK(build.targets == std::vector<std::string>{"a.bst", "b.bst"});
  CHECK(build.deps == "all");
  CHECK(build.retry_failed);
  CHECK(parsed<BuildCommand>({"build"}).deps.empty());
  CHECK(parsed<BuildCommand>({"build", "--deps=none"}).deps == "none");
}

TEST_CASE("show") {
  const auto show =
      parsed<ShowCommand>({"show", "--except", "x.bst", "a.bst", "--except", "y.bst", "b.bst", "-f",
                           "%{name}", "--order", "alpha", "--deps", "run"});
  CHECK(show.targets == std::vector<std::string>{"a.bst", "b.bst"});
  CHECK(show.except == std::vector<std::string>{"x.bst", "y.bst"});
  CHECK(show.format == "%{name}");
  CHECK(show.order == "alpha");
  CHECK(show.deps == "run");
  CHECK(parsed<ShowCommand>({"show"}).deps == "all");
}

TEST_CASE("options of projects take two values, each time") {
  const CommandLine line =
      parse_command_line({"-o", "debug", "true", "--option", "arch", "x86", "show", "a.bst"});
  REQUIRE(line.command);
  CHECK(line.global.options ==
        std::vector<std::pair<std::string, std::string>>{{"debug", "true"}, {"arch", "x86"}});
  refused({"-o", "debug"});
}

TEST_CASE("global options stand before the verb") {
  const CommandLine line =
      parse_command_line({"--builders", "2", "--on-error", "continue", "-C", "/p", "--no-colors",
                          "--verbose", "--no-debug", "--error-lines", "5", "build"});
  REQUIRE(line.command);
  CHECK(line.verb == "build");
  CHECK(line.global.overrides.builders == 2u);
  CHECK(line.global.overrides.on_error == "continue");
  CHECK(line.global.directory == "/p");
  CHECK(line.global.colors == false);
  CHECK(line.global.overrides.verbose == true);
  CHECK(line.global.overrides.debug == false);
  CHECK_FALSE(line.global.overrides.fetchers);
  const CommandLine bare = parse_command_line({"build"});
  CHECK_FALSE(bare.global.overrides.verbose);
  CHECK_FALSE(bare.global.overrides.debug);
  CHECK_FALSE(bare.global.colors);
  const auto load = load_arguments(line.global);
  CHECK(load.what.directory == "/p");
  CHECK(load.overrides.builders == 2u);
  CHECK(load.overrides.error_lines == 5u);
  CHECK_FALSE(load.overrides.max_jobs);
  refused({"build", "--builders", "2"});
}

TEST_CASE("of an option that is given again the last value counts, and is checked") {
  const CommandLine line = parse_command_line(
      {"--builders", "2",   "--on-error", "nonsense", "--strict",    "--colors",    "--verbose",
       "--builders", "4",   "--on-error", "quit",     "--no-strict", "--no-colors", "--verbose",
       "-C",         "/a",  "-C",         "/b",       "show",        "--deps",      "none",
       "--deps",     "all", "--json",     "--json",   "a.bst"});
  INFO(line.output);
  REQUIRE(line.command);
  CHECK(line.global.overrides.builders == 4u);
  CHECK(line.global.overrides.on_error == "quit");
  CHECK(line.global.overrides.strict == false);
  CHECK(line.global.colors == false);
  CHECK(line.global.overrides.verbose == true);
  CHECK(line.global.directory == "/b");
  CHECK(std::get<ShowCommand>(*line.command).deps == "all");
  CHECK(parse_command_line({"--no-strict", "--strict", "--no-colors", "--colors", "show"})
            .global.overrides.strict == true);
  CHECK(parse_command_line({"--no-colors", "--colors", "show"}).global.colors == true);
  CHECK_FALSE(
      parsed<CheckoutCommand>({"artifact", "checkout", "--integrate", "--no-integrate", "a.bst"})
          .integrate);
  CHECK(parsed<CheckoutCommand>({"artifact", "checkout", "--no-integrate", "--integrate", "a.bst"})
            .integrate);
  refused({"--on-error", "quit", "--on-error", "nonsense", "show"});
  refused({"--verbose=yes", "show"});
  // The values of an option that takes a list add up.
  CHECK(parsed<ShowCommand>({"show", "--except", "a.bst", "--except", "b.bst"}).except.size() == 2);
}

TEST_CASE("shell takes its command after two dashes") {
  const auto shell = parsed<ShellCommand>({"shell", "-b", "--mount", "/", "/b", "--mount", "/dev",
                                           "/d", "x.bst", "--", "ls", "-l", "--help"});
  CHECK(shell.build);
  CHECK(shell.target == "x.bst");
  CHECK(shell.command == std::vector<std::string>{"ls", "-l", "--help"});
  CHECK(shell.mounts ==
        std::vector<std::pair<std::string, std::string>>{{"/", "/b"}, {"/dev", "/d"}});
  CHECK(parsed<ShellCommand>({"shell", "x.bst", "--", "sh", "-c", "true"}).command.size() == 3);
  CHECK(parsed<ShellCommand>({"shell", "x.bst", "ls", "--", "-l", "-a"}).command ==
        std::vector<std::string>{"ls", "-l", "-a"});
  CHECK(parse_command_line({"shell", "--mount", "/nowhere/at/all", "/b", "x.bst"}).status ==
        kUsage);
  CHECK(parsed<ShellCommand>({"shell", "-t", "x.bst"}).build);
}

TEST_CASE("artifact verbs") {
  const auto checkout = parsed<CheckoutCommand>(
      {"artifact", "checkout", "a.bst", "--no-integrate", "--tar", "x.tar", "-d", "none"});
  CHECK_FALSE(checkout.integrate);
  CHECK(checkout.tar == "x.tar");
  CHECK(checkout.deps == "none");
  CHECK(parsed<ListContentsCommand>({"artifact", "list-contents", "-l", "p/e/k"}).detailed);
  CHECK(parsed<LogCommand>({"artifact", "log", "--out", "d", "a.bst"}).out == "d");
  CHECK(parsed<ArtifactShowCommand>({"artifact", "show", "a.bst"}).deps == "none");
  CHECK(contains(
      refused({"artifact", "checkout", "a.bst", "--tar", "x", "--hardlinks"}, kFailure).output,
      "--hardlinks and --tar conflict"));
  CHECK(contains(refused({"artifact", "checkout", "a.bst", "--compression", "gz"}, kFailure).output,
                 "--compression can only"));
}

TEST_CASE("source verbs") {
  const auto fetch = parsed<SourceFetchCommand>(
      {"source", "fetch", "-d", "all", "--except", "x.bst", "a.bst", "b.bst", "--detach"});
  CHECK(fetch.targets == std::vector<std::string>{"a.bst", "b.bst"});
  CHECK(fetch.except == std::vector<std::string>{"x.bst"});
  CHECK(fetch.deps == "all");
  CHECK(fetch.detach);
  CHECK(parsed<SourceFetchCommand>({"source", "fetch"}).deps == "none");
  const auto track =
      parsed<SourceTrackCommand>({"source", "track", "-J", "--session", "s", "a.bst"});
  CHECK(track.cross_junctions);
  CHECK(track.session == "s");
  CHECK(track.deps == "redirect");
  const auto checkout = parsed<SourceCheckoutCommand>(
      {"source", "checkout", "--force", "--tar", "x.tar", "--compression", "gz", "a.bst"});
  CHECK(checkout.tar == "x.tar");
  CHECK(checkout.force);
  CHECK(parsed<SourceCheckoutCommand>({"source", "checkout", "a.bst"}).directory ==
        "source-checkout");
  CHECK(contains(
      refused({"source", "checkout", "a.bst", "--tar", "x", "--directory", "y"}, kFailure).output,
      "--directory and --tar conflict"));
  CHECK(contains(refused({"source", "checkout", "a.bst", "--compression", "gz"}, kFailure).output,
                 "without --tar"));
  CHECK(parsed<SourceCheckoutCommand>({"source", "checkout", "--include-build-scripts", "a.bst"})
            .build_scripts);
  refused({"source", "track", "--deps", "plan"});
  refused({"source"});
}

TEST_CASE("workspace verbs, init, delete") {
  const auto open = parsed<WorkspaceOpenCommand>(
      {"workspace", "open", "--no-checkout", "-f", "--directory", "d", "a.bst"});
  CHECK(open.no_checkout);
  CHECK(open.force);
  CHECK(open.directory == "d");
  refused({"workspace", "open"});
  CHECK(parsed<WorkspaceCloseCommand>({"workspace", "close", "-a", "--remove-dir"}).all);
  CHECK(parsed<WorkspaceResetCommand>({"workspace", "reset", "--soft", "a.bst"}).soft);
  parsed<WorkspaceListCommand>({"workspace", "list"});
  const auto init =
      parsed<InitCommand>({"init", "--project-name", "n", "--min-version", "2.1", "dir"});
  CHECK(init.name == "n");
  CHECK(init.min_version == "2.1");
  CHECK(init.element_path == "elements");
  CHECK(init.directory == "dir");
  CHECK(parsed<ArtifactDeleteCommand>({"artifact", "delete", "-d", "run", "a.bst"}).deps == "run");
}

TEST_CASE("session verbs") {
  const auto list =
      parsed<SessionListCommand>({"session", "list", "--here", "--state", "dead", "--state",
                                  "active", "--since", "2h", "--last", "3"});
  CHECK(list.here);
  CHECK(list.states == std::vector<std::string>{"dead", "active"});
  CHECK(list.since_s == 7200);
  CHECK(list.last == 3);
  refused({"session", "list", "--state", "gone"});
  refused({"session", "list", "--here", "--project", "p"});
  const auto ran = parsed<SessionWhatRanCommand>(
      {"session", "what-ran", "ID", "--action", "build", "--element", "a*", "--sort", "cpu"});
  CHECK(ran.id == "ID");
  CHECK(ran.actions == std::vector<std::string>{"build"});
  CHECK(ran.elements == std::vector<std::string>{"a*"});
  CHECK(ran.sort == "cpu");
  refused({"session", "what-ran", "--action", "bake"});
  CHECK(parsed<SessionWhatFailedCommand>({"session", "what-failed", "--lines", "5"}).lines == 5);
  CHECK(parsed<SessionSummaryCommand>({"session", "summary", "--json"}).json);
  const auto replay = parsed<SessionReplayCommand>(
      {"session", "replay", "--speed", "max", "--skip", "1m", "--skip-to", "a.bst"});
  CHECK(replay.speed == "max");
  CHECK(replay.skip_s == 60);
  CHECK(replay.skip_to == "a.bst");
  refused({"session", "replay", "--speed", "0"});
  refused({"session", "replay", "--speed", "fast"});
  const auto logs = parsed<ElementLogCommand>({"log", "-f", "a.bst", "b.bst"});
  CHECK(logs.follow);
  CHECK(logs.elements == std::vector<std::string>{"a.bst", "b.bst"});
  refused({"log"});
  const auto log = parsed<SessionLogCommand>({"session", "log", "a.bst", "ID", "--from", "12"});
  CHECK(log.what == "a.bst");
  CHECK(log.id == "ID");
  CHECK(log.from == 12);
  refused({"session", "log"});
  refused({"session", "log", "a.bst", "--from", "-1"});
  refused({"session", "answer", "-1", "retry"});
  CHECK(parsed<SessionAttachCommand>({"session", "attach", "ID", "--style", "plain"}).style ==
        "plain");
  CHECK(parsed<SessionControlCommand>({"session", "suspend"}).verb == "suspend");
  CHECK(parsed<SessionControlCommand>({"session", "kill", "ID"}).id == "ID");
}

TEST_CASE("caches on other machines") {
  const auto build = parsed<BuildCommand>(
      {"--pull-buildtrees", "build", "--artifact-remote", "http://x", "--artifact-remote",
       "url=https://y:1,type=index,push=False,server-cert=/c,instance-name=i", "--source-remote",
       "http://s", "a.bst"});
  REQUIRE(build.remotes.artifacts.size() == 2);
  CHECK(build.remotes.artifacts[0].url == "http://x");
  CHECK(build.remotes.artifacts[0].push);
  CHECK(build.remotes.artifacts[1].url == "https://y:1");
  CHECK(build.remotes.artifacts[1].type == "index");
  CHECK_FALSE(build.remotes.artifacts[1].push);
  CHECK(build.remotes.artifacts[1].server_cert == "/c");
  CHECK(build.remotes.artifacts[1].instance_name == "i");
  CHECK(build.remotes.sources.size() == 1);
  CHECK(build.targets == std::vector<std::string>{"a.bst"});
  CHECK(parsed<ArtifactPushCommand>({"artifact", "push", "--artifact-remote", "http://x", "a.bst"})
            .remotes.artifacts[0]
            .push);
  const auto pull =
      parsed<ArtifactPullCommand>({"artifact", "pull", "--artifact-remote", "http://x",
                                   "--ignore-project-artifact-remotes", "-d", "all"});
  CHECK_FALSE(pull.remotes.artifacts[0].push);
  CHECK(pull.remotes.ignore_project_artifacts);
  CHECK(pull.deps == "all");
  CHECK(parsed<SourcePushCommand>(
            {"source", "push", "--source-remote", "http://x", "--except", "b.bst", "a.bst"})
            .except.size() == 1);
  for (const char* wrong : {"", "url=http://x,type=some", "url=http://x,push=yes",
                            "type=all,push=true", "url=http://x,colour=red", "url=http://x,push"}) {
    CHECK(contains(refused({"build", "--artifact-remote", wrong}).output,
                   "Failed to interpret remote"));
  }
  CHECK(
      contains(refused({"artifact", "push", "--artifact-remote", "url=http://x,push=true"}).output,
               "assumed to be True"));
}

TEST_CASE("usage errors say where to read more") {
  const auto line = refused({"show", "--bogus"});
  CHECK(contains(line.output, "Usage: sluice show [OPTIONS] [ELEMENTS]..."));
  CHECK(contains(line.output, "Try 'sluice show -h' for help."));
  CHECK(contains(line.output, "--bogus"));
  CHECK(contains(refused({"bogus"}).output, "bogus"));
  for (const std::vector<std::string>& jobs :
       std::vector<std::vector<std::string>>{{"build", "-j4"},
                                             {"-j4", "build"},
                                             {"build", "-j", "4"},
                                             {"source", "fetch", "--jobs=4"}}) {
    const std::string told = refused(jobs).output;
    INFO(told);
    CHECK(contains(told, "No such option: "));
    CHECK(contains(told, "sluice --builders "));
  }
  CHECK(contains(refused({"build", "-j4", "a.bst"}).output, "sluice --builders 4 ... build"));
  CHECK(contains(refused({"session", "answer", "1", "retyr"}).output, "Did you mean 'retry'"));
  refused({"--deps"});
  refused({"build", "--deps", "some"});
  refused({"--builders", "two", "build"});
  refused({"--builders", "-1", "build"});
  refused({"artifact"});
  refused({});
}

TEST_CASE("what an option takes stands in the page of its verb") {
  const CommandShape all = command_shape();
  const auto session = std::find_if(all.commands.begin(), all.commands.end(),
                                    [](const CommandShape& one) { return one.name == "session"; });
  REQUIRE(session != all.commands.end());
  std::size_t seen = 0;
  for (const CommandShape& verb : session->commands) {
    if (verb.name != "what-ran" && verb.name != "attach" && verb.name != "replay") continue;
    const auto page =
        sluice::read_file(SLUICE_SOURCE_DIR "/docs/commands/session-" + verb.name + ".md");
    REQUIRE(page);
    for (const OptionShape& option : verb.options) {
      if (option.value.what != ValueShape::What::kChoice) continue;
      const std::size_t row = page->find("`" + option.names[0] + " ");
      INFO(verb.name << " " << option.names[0]);
      REQUIRE(row != std::string::npos);
      const std::string line = page->substr(row, page->find('\n', row) - row);
      for (const std::string& choice : option.value.choices) CHECK(contains(line, choice));
      ++seen;
    }
  }
  CHECK(seen == 4);  // what-ran has two
}

TEST_CASE("help is everywhere") {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"-h"},
                                             {"help"},
                                             {"build", "--help"},
                                             {"help", "build"},
                                             {"artifact", "-h"},
                                             {"artifact", "checkout", "-h"},
                                             {"help", "artifact", "checkout"},
                                             {"session", "attach", "--help"}}) {
    const CommandLine line = parse_command_line(arguments);
    CHECK(line.status == kSuccess);
    CHECK(line.output.starts_with("Usage: sluice"));
  }
  // A group without a verb: the same, but as a wrong usage.
  CHECK(
      refused({"artifact"}).output.starts_with(parse_command_line({"artifact", "--help"}).output));
  CHECK(refused({"session"}).output.starts_with("Usage: sluice session"));
  CHECK(contains(refused({"artifact", "--bogus"}).output, "No such option: --bogus"));
  CHECK(contains(refused({"show", "--bogus", "--help"}).output, "No such option: --bogus"));
  CHECK(contains(refused({"workspace", "open"}).output, "Missing argument 'ELEMENTS...'."));
  CHECK(contains(parse_command_line({"help", "build"}).output, "--retry-failed"));
  CHECK(contains(parse_command_line({"--help"}).output, "session"));
  CHECK(contains(parse_command_line({"--help"}).output, "workspace"));
  refused({"help", "bogus"}, kFailure);
  const CommandLine version = parse_command_line({"--version"});
  CHECK(version.status == kSuccess);
  CHECK(contains(version.output, "sluice "));
}

TEST_CASE("how what happens is shown: all styles but that of a log") {
  const auto styled = parse_command_line({"--style", "reader", "--quiet", "show"});
  CHECK(styled.global.style == "reader");
  CHECK(styled.global.quiet);
  CHECK(parse_command_line({"--style", "json", "show"}).status == kUsage);
}

TEST_CASE("the JSON log comes from the option, or from the environment") {
  ::setenv("SLUICE_JSON_LOG", "/from/environment", 1);
  CHECK(parse_command_line({"show"}).global.json_log == "/from/environment");
  CHECK(parse_command_line({"--json-log", "/x", "show"}).global.json_log == "/x");
  ::unsetenv("SLUICE_JSON_LOG");
  CHECK(parse_command_line({"show"}).global.json_log.empty());
}
