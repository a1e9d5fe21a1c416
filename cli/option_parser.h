// How the command line is declared, on top of CLI11: what options.cc and option_verbs.cc share. No
// other file includes CLI11, which is most of their compile time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/options.h"

namespace sluice::cli {

using Strings = std::vector<std::string>;

// Thrown for options that exclude each other, found when all of them are known. As in bst the
// status is that of a failure, not that of wrong usage.
struct Conflict {
  std::string what;
};

// ---- Options that several verbs have -----------------------------------------

// What the values of --deps mean, as rows of a table (CommandShape::details).
inline constexpr std::string_view kDepsHelp =
    "  none:   No dependencies, just the element itself\n"
    "  run:    The element and its runtime dependencies\n"
    "  build:  Build time dependencies, excluding the element itself\n"
    "  all:    All dependencies\n";

// Checks for a directory, which may be missing, but may be no file.
CLI::Validator no_file(const std::string& option);
// Adds a check to an option of whose values the last alone counts, and is checked.
CLI::Option* last_checked(CLI::Option* option, CLI::Validator validator);
// Adds an option that names remotes. `push`: whether these can be pushed to; none: as `push=` in
// their descriptions says.
void remote_option(CLI::App& app, const std::string& name, std::vector<model::Remote>& into,
                   std::optional<bool> push, const std::string& help);
void artifact_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                             const std::string& what);
void source_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                           const std::string& what);

// A verb, or a group of verbs.
class Verb : public CLI::App {
 public:
  Verb(const std::string& name, const std::string& help, std::vector<Example> shown,
       CLI::App* parent)
      : CLI::App(help, name, parent), examples(std::move(shown)) {
    group("Commands");
    footer("");
  }
  std::vector<Example> examples;
  // What is said to somebody who gave it an option that it doesn't know.
  std::string on_unknown_option;
};
// Adds a verb. The examples, two, are whole commands, each with what it does:
//   {{"sluice build app.bst", "Build app.bst, and all that it needs"}, ...}
// Further text goes into its footer(), a paragraph on a line (CommandShape::details).
Verb* add_verb(CLI::App& parent, const std::string& name, const std::string& help,
               std::vector<Example> examples = {});

// Has an option take one value each time it is given; CLI11 would take all that follows.
inline CLI::Option* once_each(CLI::Option* option) { return option->allow_extra_args(false); }

template <typename T>
void optional_flag(CLI::App& app, const std::string& name, T& into, const std::string& help) {
  // Bound directly, CLI11 sets it though neither was given.
  app.add_flag_function(
         "--" + name + ",!--no-" + name, [&into](std::int64_t count) { into = count > 0; }, help)
      ->take_last();
}

// CLI11 takes -1 for the largest number of 64 bits.
CLI::Validator not_negative();
// How many jobs at once there may be.
CLI::Validator job_count();
// Adds an option like "90s", "15m", "2h", "1d" or "never" (0), in seconds.
CLI::Option* duration(CLI::App& app, const std::string& name, std::uint32_t& into,
                      const std::string& help);

template <typename T>
CLI::Option* value(CLI::App& app, const std::string& name, T& into, const std::string& type,
                   const std::string& help) {
  CLI::Option* const option = app.add_option(name, into, help)->type_name(type);
  if constexpr (std::is_same_v<T, std::uint64_t>) last_checked(option, not_negative());
  return option;
}

// Checks for one of some words.
CLI::Validator one_of(const std::string& option, const Strings& values);

template <typename T>
CLI::Option* choice(CLI::App& app, const std::string& name, T& into, const Strings& values,
                    const std::string& help) {
  return last_checked(app.add_option(name, into, help), one_of(name, values))
      ->type_name(fmt::format("[{}]", fmt::join(values, "|")));
}

template <typename T>
void session_options(CLI::App& app, T& into) {
  app.add_option("--session", into.session,
                 "Work in this session, which goes on afterwards (see `session start`)")
      ->type_name("ID");
  app.add_flag("--detach", into.detach,
               "Return as soon as the work is under way, and leave it to its session");
}

// Adds the options of a session that others may join.
void listen_options(CLI::App& app, ListenOptions& into);

template <typename T>
void json_options(CLI::App& app, T& into) {
  auto* json = app.add_flag("--json", into.json, "Print a JSON document")->excludes("--format");
  value(app, "--fields", into.fields, "LIST",
        "What of an element the JSON has: names with commas between them, or 'all'")
      ->needs(json);
}

// ---- The parser ----------------------------------------------------------------

class Parser {
 public:
  Parser();
  CommandLine parse(const Strings& arguments);
  CommandShape shape() const;

 private:
  void add_globals();
  void add_build();
  void add_show();
  void add_query();
  void add_why();
  void add_explain();
  void add_sbom();
  void add_shell();
  void add_source();
  void add_workspace();
  void add_init();
  void add_artifact();
  void add_store();
  void add_session();
  void add_past(CLI::App& session);
  void add_log();
  void add_pages();
  void add_runner();
  void add_observers();
  void add_help();
  void checkout_conflicts();
  void on(CLI::App* sub, std::function<Command()> make) {
    makers_.emplace_back(sub, std::move(make));
  }
  // The program and the verbs that were named, the last one last.
  std::vector<CLI::App*> named();
  CLI::App* deepest() { return named().back(); }
  // The first option that isn't known, and who was given it: nullptr when there is none.
  std::pair<CLI::App*, std::string> unknown_option();
  std::string no_such_option(CLI::App* given, const std::string& option);
  std::string no_such_command(const CLI::App* group, const std::string& word);
  std::string text_of(const CLI::ParseError& error);
  std::string usage_error(std::string_view message);
  void finish(CommandLine& line);

  Verb app_;
  bool version_ = false;
  GlobalOptions global_;
  BuildCommand build_;
  SourceFetchCommand fetch_;
  SourceTrackCommand track_;
  SourcePushCommand source_push_;
  ArtifactPullCommand pull_;
  ArtifactPushCommand push_;
  SourceCheckoutCommand source_checkout_;
  WorkspaceOpenCommand workspace_open_;
  WorkspaceCloseCommand workspace_close_;
  WorkspaceResetCommand workspace_reset_;
  InitCommand init_;
  ArtifactDeleteCommand artifact_delete_;
  ArtifactDiffCommand artifact_diff_;
  SbomCommand sbom_;
  ShowCommand show_;
  QueryCommand query_;
  WhyCommand why_;
  ExplainCommand explain_;
  ShellCommand shell_;
  CheckoutCommand checkout_;
  ListContentsCommand list_contents_;
  LogCommand log_;
  ArtifactShowCommand artifact_show_;
  StoreCheckCommand store_check_;
  SessionAttachCommand attach_;
  SessionListCommand session_list_;
  SessionWhatRanCommand what_ran_;
  SessionWhatFailedCommand what_failed_;
  SessionSummaryCommand summary_;
  SessionReplayCommand replay_;
  ElementLogCommand element_log_;
  SessionLogCommand session_log_;
  SessionExplainCommand session_explain_;
  ReportCommand report_;
  WebCommand web_;
  SessionControlCommand control_;
  SessionStartCommand session_start_;
  SessionRevokeCommand revoke_;
  RunnerJoinCommand runner_join_;
  RunnerStartCommand runner_start_;
  RunnerListCommand runner_list_;
  RunnerControlCommand runner_control_;
  ObserverCommand trace_, metrics_, collect_;
  std::string trace_format_, collect_kind_, collect_to_;
  std::string free_;
  Strings help_;
  CLI::App* help_command_ = nullptr;
  std::vector<std::pair<CLI::App*, std::function<Command()>>> makers_;
};

}  // namespace sluice::cli
