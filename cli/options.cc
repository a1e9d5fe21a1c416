#include "cli/options.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

// CLI11 is included here and nowhere else: it is most of this file's compile time.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/query_language.h"
#include "cli/remote_option.h"

namespace sluice::cli {

namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view kDepsHelp =
    "  none:  No dependencies, just the element itself\n"
    "  run:   The element and its runtime dependencies\n"
    "  build: Build time dependencies, excluding the element itself\n"
    "  all:   All dependencies\n";

constexpr std::string_view kFormatHelp =
    "FORMAT is what is printed for each element. Its symbols:\n"
    "  %{name}           The element's full name\n"
    "  %{kind}           The element's kind\n"
    "  %{description}    The element's description, on a single line\n"
    "  %{key}            The abbreviated cache key\n"
    "  %{full-key}       The full cache key\n"
    "  %{state}          cached, failed, buildable, fetch needed, waiting, no reference or "
    "junction\n"
    "  %{config}         The element's configuration\n"
    "  %{vars}           Variables\n"
    "  %{env}            Environment\n"
    "  %{public}         Public data\n"
    "  %{workspaced}     Whether the element is workspaced\n"
    "  %{workspace-dirs} Directories of its workspace\n"
    "  %{deps}           Dependencies\n"
    "  %{build-deps}     Build dependencies\n"
    "  %{runtime-deps}   Runtime dependencies\n"
    "  %{source-info}    Where the sources come from\n"
    "  %{artifact-cas-digest} Digest of the artifact's files\n"
    "A symbol without its % is a Python format string: '%{name: ^20} %{key: >8}'.\n";

// Like click's: the usage first, on one line.
class Formatter : public CLI::Formatter {
 public:
  Formatter() { column_width(34); }
  std::string make_usage(const CLI::App*, std::string) const override { return ""; }
  std::string make_description(const CLI::App* app) const override {
    return usage_of(app) + "\n\n  " + app->get_description() + "\n";
  }
  std::string make_footer(const CLI::App* app) const override { return app->get_footer(); }
  std::string make_positionals(const CLI::App*) const override { return ""; }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  // "-c, --config"; what CLI11 adds of itself ("{false}") is left out.
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string name;
    bool inside = false;
    for (const char c : option->get_name(false, true)) {
      inside = (inside || c == '{') && c != '}';
      if (inside || c == '}') continue;
      name += c;
      if (c == ',') name += ' ';
    }
    return name;
  }

  static std::string path_of(const CLI::App* app) {
    return app->get_parent() == nullptr ? app->get_name()
                                        : path_of(app->get_parent()) + " " + app->get_name();
  }
  static std::string argument_name(const CLI::Option* option, bool optional) {
    const std::string name =
        optional ? "[" + option->get_type_name() + "]" : option->get_type_name();
    return name + (option->get_expected_max() > 1 ? "..." : "");
  }
  static std::string usage_of(const CLI::App* app) {
    std::string usage = "Usage: " + path_of(app) + " [OPTIONS]";
    for (const CLI::Option* option : app->get_options(
             [](const CLI::Option* o) { return o->get_positional() && !o->get_group().empty(); })) {
      usage += " " + argument_name(option, !option->get_required());
    }
    if (!app->get_subcommands([](const CLI::App*) { return true; }).empty())
      usage += " COMMAND [ARGS]...";
    return usage;
  }
};

// Options that exclude each other, found when all of them are known: no wrong usage to bst, but a
// failure.
struct Conflict {
  std::string what;
};

class Parser {
 public:
  Parser() : app_("Build and manipulate BuildStream projects", "sluice") {
    app_.formatter(std::make_shared<Formatter>());
    app_.require_subcommand(0, 1);
    // Of an option that is given again the last value counts, so that scripts can wrap commands
    // with defaults; lists add up.
    app_.option_defaults()->take_last();
    app_.option_defaults()->disable_flag_override();
    app_.set_help_flag("-h,--help", "Show this message and exit");
    app_.add_flag("--version", version_, "Show the version and exit");
    add_globals();
    add_build();
    add_show();
    add_query();
    add_why();
    add_explain();
    add_shell();
    add_source();
    add_workspace();
    add_init();
    add_artifact();
    add_session();
    add_store();
    add_help();
  }

  CommandLine parse(const Strings& arguments) {
    CommandLine line;
    Strings reversed(arguments.rbegin(), arguments.rend());
    try {
      app_.parse(reversed);
      finish(line);
    } catch (const Conflict& conflict) {
      line.command.reset();
      line.output = "ERROR: " + conflict.what + "\n";
      line.status = kFailure;
    } catch (const CLI::CallForHelp&) {
      // An option that isn't there is told of before anything else.
      if (const std::string option = unknown_option(); !option.empty()) {
        line.output = usage_error(no_such_option(option));
        line.status = kUsage;
      } else {
        line.output = help_of(deepest());
      }
    } catch (const CLI::ParseError& error) {
      line.command.reset();
      if (version_) {
        line.output = version();
        return line;
      }
      CLI::App* app = deepest();
      const bool verbless = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                            is_group(app) && app->remaining().empty();
      line.output = verbless ? help_of(app) : usage_error(text_of(error));
      line.status = kUsage;
    }
    return line;
  }

  CommandShape shape() const { return shape_of(app_); }

 private:
  static ValueShape value_shape(const CLI::App& app, const std::string& type,
                                const std::string& name) {
    using What = ValueShape::What;
    const auto choices = [](std::string_view text) {
      ValueShape value{What::kChoice, {}};
      for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('|', begin), text.size());
        value.choices.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
      }
      return value;
    };
    if (type.starts_with('[')) return choices(std::string_view(type).substr(1, type.size() - 2));
    if (type.find('|') != std::string::npos) return choices(type);
    if (type == "ELEMENT" || type == "ELEMENTS" || type == "TARGETS" || name == "--except")
      return {What::kElement, {}};
    if (type == "TARGET" || type == "ARTIFACTS") return {What::kArtifact, {}};
    if (type == "DIRECTORY" || type == "TARGET_DIRECTORY") return {What::kDirectory, {}};
    if (type == "FILE" || type == "FILENAME" || type == "LOCATION" || type == "PATH" ||
        type.starts_with("HOSTPATH"))
      return {What::kPath, {}};
    if (type == "ID") return {What::kSession, {}};
    if (app.get_name() == "help") return {What::kCommand, {}};
    return {};
  }

  static CommandShape shape_of(const CLI::App& app) {
    CommandShape shape;
    shape.name = app.get_name();
    for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
      const std::string name = option->get_single_name();
      if (option == app.get_help_ptr()) continue;
      if (option->get_positional()) {
        // Without a group: what only catches words.
        if (option->get_group().empty()) continue;
        shape.arguments.push_back(
            {option->get_expected_max() > 1, value_shape(app, option->get_type_name(), name)});
        continue;
      }
      OptionShape one;
      for (const std::string& letter : option->get_snames()) one.names.push_back("-" + letter);
      for (const std::string& word : option->get_lnames()) one.names.push_back("--" + word);
      one.values = option->get_items_expected_max() == 0
                       ? 0
                       : static_cast<std::size_t>(std::max(option->get_type_size(), 0));
      one.repeated = option->get_expected_max() > 1;
      if (one.values > 0) one.value = value_shape(app, option->get_type_name(), "--" + name);
      shape.options.push_back(std::move(one));
    }
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
      shape.commands.push_back(shape_of(*sub));
    return shape;
  }

  static std::string version() { return "sluice " SLUICE_VERSION "\n"; }

  CLI::App* deepest() {
    CLI::App* app = &app_;
    for (auto chosen = app->get_subcommands(); !chosen.empty(); chosen = app->get_subcommands())
      app = chosen.back();
    return app;
  }

  // CLI11's App::help() would give that of the verb that was parsed.
  static std::string help_of(CLI::App* app) {
    return app->get_formatter()->make_help(app, "", CLI::AppFormatMode::Normal);
  }

  static bool is_group(const CLI::App* app) {
    return !app->get_subcommands([](const CLI::App*) { return true; }).empty();
  }

  static std::string no_such_option(const std::string& option) {
    return "No such option: " + option;
  }

  // "" when there is none.
  std::string unknown_option() {
    for (const std::string& word : deepest()->remaining()) {
      if (word.size() > 1 && word.starts_with('-')) return word;
    }
    return {};
  }

  std::string text_of(const CLI::ParseError& error) {
    CLI::App* app = deepest();
    const Strings rest = app->remaining();
    const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
    if (code != CLI::ExitCodes::ExtrasError && code != CLI::ExitCodes::RequiredError)
      return error.what();
    if (!rest.empty()) {
      if (rest.front().starts_with('-')) return no_such_option(rest.front());
      return fmt::format("{} '{}'",
                         is_group(app) ? "No such command" : "Got unexpected extra argument",
                         rest.front());
    }
    for (const CLI::Option* option : app->get_options(
             [](const CLI::Option* o) { return o->get_positional() && o->get_required(); })) {
      if (option->count() == 0)
        return fmt::format("Missing argument '{}'.", Formatter::argument_name(option, false));
    }
    return error.what();
  }

  std::string usage_error(std::string_view message) {
    CLI::App* app = deepest();
    return fmt::format("{}\nTry '{} -h' for help.\n\nError: {}\n", Formatter::usage_of(app),
                       Formatter::path_of(app), message);
  }

  // A directory that may be missing, but no file.
  static CLI::Validator no_file(const std::string& option) {
    const auto check = [option](std::string& path) {
      if (path.empty() && option == "--directory")
        return fmt::format("Invalid value for '{}': Directory '' has no name.", option);
      std::error_code error;
      const auto status = std::filesystem::status(path, error);
      if (!std::filesystem::exists(status) || std::filesystem::is_directory(status))
        return std::string();
      return fmt::format("Invalid value for '{}': Directory '{}' is a file.", option, path);
    };
    return CLI::Validator(check, "", "");
  }

  // Of an option's values the last alone counts, and is checked.
  static CLI::Option* last_checked(CLI::Option* option, CLI::Validator validator) {
    const auto check = [option, validator = std::move(validator)](std::string& value) {
      return value == option->results().back() ? validator(value) : std::string();
    };
    return option->check(CLI::Validator(check, "", ""));
  }

  // One value each time it is given; CLI11 would take all that follows.
  static CLI::Option* once_each(CLI::Option* option) { return option->allow_extra_args(false); }

  template <typename T>
  static void optional_flag(CLI::App& app, const std::string& name, T& into,
                            const std::string& help) {
    // Bound directly, CLI11 sets it though neither was given.
    app.add_flag_function(
           "--" + name + ",!--no-" + name, [&into](std::int64_t count) { into = count > 0; }, help)
        ->take_last();
  }
  template <typename T>
  static CLI::Option* value(CLI::App& app, const std::string& name, T& into,
                            const std::string& type, const std::string& help) {
    return app.add_option(name, into, help)->type_name(type);
  }
  static CLI::Option* choice(CLI::App& app, const std::string& name, std::string& into,
                             const Strings& values, const std::string& help) {
    return add_choice(app, name, into, values, help);
  }
  template <typename T>
  static CLI::Option* add_choice(CLI::App& app, const std::string& name, T& into,
                                 const Strings& values, const std::string& help) {
    return last_checked(app.add_option(name, into, help), CLI::IsMember(values))
        ->type_name(fmt::format("[{}]", fmt::join(values, "|")));
  }
  // `push`: whether a remote that is named can be pushed to; none: as `push=` in its description
  // says.
  static void remote_option(CLI::App& app, const std::string& name,
                            std::vector<model::Remote>& into, std::optional<bool> push,
                            const std::string& help) {
    const auto add = [&into, push, name](const Strings& values) {
      for (const std::string& value : values) {
        auto remote = read_remote(value, push);
        if (!remote)
          throw CLI::ValidationError(name, "Failed to interpret remote: " + remote.error().message);
        into.push_back(std::move(*remote));
      }
      return true;
    };
    once_each(app.add_option(name, add, help)->expected(1, -1))->type_name("REMOTE");
  }
  static void artifact_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                                      const std::string& what) {
    remote_option(app, "--artifact-remote", into.artifacts, push,
                  fmt::format("A remote for {} artifacts", what));
    app.add_flag("--ignore-project-artifact-remotes", into.ignore_project_artifacts,
                 "Ignore remote artifact cache servers recommended by projects");
  }
  static void source_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                                    const std::string& what) {
    remote_option(app, "--source-remote", into.sources, push,
                  fmt::format("A remote for {} sources", what));
    app.add_flag("--ignore-project-source-remotes", into.ignore_project_sources,
                 "Ignore remote source cache servers recommended by projects");
  }
  template <typename T>
  static void session_options(CLI::App& app, T& into) {
    app.add_option("--session", into.session,
                   "Work in this session, which goes on afterwards (see `session start`)")
        ->type_name("ID");
    app.add_flag("--detach", into.detach,
                 "Return as soon as the work is under way, and leave it to its session");
  }

  void add_globals() {
    GlobalOptions& global = global_;
    model::SettingsOverrides& overrides = global.overrides;
    last_checked(value(app_, "-c,--config", global.config, "FILE", "Configuration file to use"),
                 CLI::ExistingFile);
    last_checked(value(app_, "-C,--directory", global.directory, "DIRECTORY",
                       "Project directory (default: current directory)"),
                 no_file("--directory' / '-C"));
    add_choice(app_, "--on-error", overrides.on_error, {"continue", "quit", "terminate"},
               "What to do when an error is encountered");
    value(app_, "--fetchers", overrides.fetchers, "INTEGER", "Maximum simultaneous download tasks");
    value(app_, "--builders", overrides.builders, "INTEGER", "Maximum simultaneous build tasks");
    value(app_, "--pushers", overrides.pushers, "INTEGER", "Maximum simultaneous upload tasks");
    value(app_, "--max-jobs", overrides.max_jobs, "INTEGER",
          "Number of parallel jobs allowed for a given build task");
    optional_flag(app_, "jobserver", overrides.jobserver,
                  "The makes of all builds share the processors");
    value(app_, "--network-retries", overrides.network_retries, "INTEGER",
          "Maximum retries for network tasks");
    app_.add_flag("--no-interactive", global.no_interactive,
                  "Force non interactive mode, otherwise this is automatically decided");
    optional_flag(app_, "verbose", overrides.verbose, "Be extra verbose");
    optional_flag(app_, "debug", overrides.debug, "Print debugging output");
    value(app_, "--error-lines", overrides.error_lines, "INTEGER",
          "Maximum number of lines to show from a task log");
    value(app_, "--message-lines", overrides.message_lines, "INTEGER",
          "Maximum number of lines to show in a detailed message");
    value(app_, "--log-file", global.log_file, "FILENAME", "A file to store the main log");
    optional_flag(app_, "colors", global.colors, "Force enable/disable ANSI color codes in output");
    optional_flag(
        app_, "strict", overrides.strict,
        "Elements must be rebuilt when their dependencies have changed (the default), or not");
    once_each(app_.add_option("-o,--option", global.options, "Specify a project option"))
        ->type_name("OPTION VALUE");
    value(app_, "--default-mirror", overrides.default_mirror, "TEXT",
          "The mirror to fetch from first, before attempting other mirrors");
    app_.add_flag_callback(
        "--pull-buildtrees", [&overrides] { overrides.pull_buildtrees = true; },
        "Include an element's build tree when pulling remote element artifacts");
    add_choice(app_, "--cache-buildtrees", overrides.cache_buildtrees, {"always", "auto", "never"},
               "Cache artifact build tree content on creation");
    value(app_, "--json-log", global.json_log, "FILE",
          "Also write every record to FILE, as one JSON object a line");
  }

  void add_build() {
    auto* sub = add_verb(app_, "build", "Build elements in a pipeline");
    sub->footer(fmt::format(
        "Without ELEMENTS the project's default targets are built, or else all of its elements.\n"
        "--deps says which dependencies must be built (others are built when they are needed):\n{}",
        kDepsHelp));
    sub->add_option("elements", build_.targets)->type_name("ELEMENTS");
    choice(*sub, "-d,--deps", build_.deps, {"none", "build", "run", "all"},
           "The dependencies to build");
    sub->add_flag("-r,--retry-failed", build_.retry_failed,
                  "Try to build elements for which a failed build artifact is found");
    session_options(*sub, build_);
    artifact_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading");
    source_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading cached");
    on(sub, [this] { return Command(build_); });
  }

  void add_show() {
    auto* sub = add_verb(app_, "show", "Show elements in the pipeline");
    sub->footer(fmt::format(
        "Without ELEMENTS the project's default targets are shown, or else all of its elements.\n"
        "--deps says which elements are shown:\n{}\n{}",
        kDepsHelp, kFormatHelp));
    sub->add_option("elements", show_.targets)->type_name("ELEMENTS");
    once_each(sub->add_option("--except", show_.except, "Except certain dependencies"))
        ->type_name("PATH");
    choice(*sub, "-d,--deps", show_.deps, {"none", "run", "build", "all"},
           "The dependencies to show (default: all)");
    choice(*sub, "--order", show_.order, {"stage", "alpha"},
           "Staging or alphabetic ordering of dependencies (default: stage)");
    value(*sub, "-f,--format", show_.format, "FORMAT", "Format string for each element");
    json_options(*sub, show_);
    on(sub, [this] { return Command(show_); });
  }

  template <typename T>
  static void json_options(CLI::App& app, T& into) {
    auto* json = app.add_flag("--json", into.json, "Print a JSON document")->excludes("--format");
    value(app, "--fields", into.fields, "LIST",
          "What of an element the JSON has: names with commas between them, or 'all'")
        ->needs(json);
  }

  void add_query() {
    auto* sub =
        add_verb(app_, "query", "Find elements by what they depend on and what depends on them");
    sub->footer(
        fmt::format("QUERY is an expression over sets of elements; put it in quotation marks. Its "
                    "parts, X and Y being expressions:\n{}"
                    "\nThe universe is what is loaded: that of --universe, else the project's "
                    "default targets, or else all of its\n"
                    "elements, with all dependencies; a query without all(), rdeps() or wildcards "
                    "loads just what it names.\n\n{}",
                    query_functions(), kFormatHelp));
    sub->add_option("query", query_.query)->type_name("QUERY")->required();
    once_each(sub->add_option("-u,--universe", query_.universe,
                              "Load this target, with all that it needs"))
        ->type_name("ELEMENT");
    choice(*sub, "--order", query_.order, {"stage", "alpha"},
           "Staging or alphabetic ordering (default: stage)");
    value(*sub, "-f,--format", query_.format, "FORMAT",
          "Format string for each element (default: %{name})");
    json_options(*sub, query_);
    sub->add_flag("--dot", query_.dot,
                  "Print a graph for Graphviz: the elements, and dependencies between them")
        ->excludes("--json")
        ->excludes("--format");
    on(sub, [this] { return Command(query_); });
  }

  void add_why() {
    auto* sub = add_verb(app_, "why", "Show which dependencies bring an element in");
    sub->footer(
        fmt::format("Shows the shortest chain of dependencies from each target to ELEMENT. Without "
                    "TARGETS: from each of the project's\n"
                    "default targets, or else of all its elements, that nothing else needs.\n"
                    "--deps says which chains count:\n"
                    "  run:   Runtime dependencies\n"
                    "  build: A build dependency, then what that needs at run time\n"
                    "  all:   All dependencies\n"));
    sub->add_option("element", why_.element)->type_name("ELEMENT")->required();
    sub->add_option("targets", why_.targets)->type_name("TARGETS");
    choice(*sub, "-d,--deps", why_.deps, {"run", "build", "all"},
           "The dependencies that count (default: all)");
    sub->add_flag("--all", why_.all, "Show every chain, not only the shortest ones");
    last_checked(
        value(*sub, "--limit", why_.limit, "N", "Show at most so many chains (default: 10)"),
        CLI::PositiveNumber);
    sub->add_flag("--json", why_.json, "Print a JSON document");
    on(sub, [this] { return Command(why_); });
  }

  void add_explain() {
    auto* sub = add_verb(app_, "explain", "Explain why an element will be built");
    sub->footer(
        "Compares what ELEMENT's key is made of with the newest artifact of it in the cache, and "
        "follows\n"
        "dependencies whose keys changed to where that began.\n");
    sub->add_option("element", explain_.element)->type_name("ELEMENT")->required();
    value(*sub, "--against", explain_.against, "KEY",
          "Compare with the artifact of this key, or the only one with this beginning");
    sub->add_flag("--json", explain_.json, "Print a JSON document");
    on(sub, [this] { return Command(explain_); });
  }

  void add_shell() {
    auto* sub = add_verb(app_, "shell", "Shell into an element's sandbox environment");
    sub->footer(
        "Stages TARGET, which must be built, with its runtime dependencies, and runs COMMAND, or "
        "an interactive\n"
        "shell. --build stages build dependencies and sources instead. Its status is the "
        "command's.\n"
        "Options of the command come after '--': sluice shell hello.bst -- ls -l\n");
    sub->add_option("target", shell_.target)->type_name("TARGET");
    sub->add_option("command", shell_.command)->type_name("COMMAND");
    // Never filled, as COMMAND takes all: without a positional that is free CLI11 refuses what
    // stands after "--" when COMMAND began before it.
    sub->add_option("free", free_)->group("");
    sub->add_flag("-b,--build", shell_.build, "Stage dependencies and sources to build");
    once_each(
        sub->add_option("--mount", shell_.mounts, "Mount a file or directory into the sandbox"))
        ->type_name("HOSTPATH PATH");
    sub->add_flag("--isolate", shell_.isolate, "Create an isolated build sandbox");
    sub->add_flag("-t,--use-buildtree", shell_.use_buildtree,
                  "Stage a buildtree. Will fail if a buildtree is not available");
    artifact_remote_options(*sub, shell_.remotes, false, "downloading");
    source_remote_options(*sub, shell_.remotes, false, "downloading cached");
    sub->callback([this] {
      for (const auto& [host, path] : shell_.mounts) {
        std::error_code ignored;
        if (!std::filesystem::exists(host, ignored))
          throw CLI::ValidationError("--mount", fmt::format("Path '{}' does not exist.", host));
      }
    });
    on(sub, [this] {
      if (shell_.use_buildtree) shell_.build = true;
      return Command(shell_);
    });
  }

  void add_source() {
    auto* group = add_verb(app_, "source", "Manipulate sources for an element");
    group->require_subcommand(1);

    auto* fetch = add_verb(*group, "fetch", "Fetch sources in a pipeline");
    fetch->footer(
        fmt::format("Without ELEMENTS those of the project's default targets are fetched, or else "
                    "those of all its elements.\n"
                    "--deps says whose sources are fetched:\n{}",
                    kDepsHelp));
    fetch->add_option("elements", fetch_.targets)->type_name("ELEMENTS");
    once_each(
        fetch->add_option("--except", fetch_.except, "Except certain dependencies from fetching"))
        ->type_name("PATH");
    choice(*fetch, "-d,--deps", fetch_.deps, {"none", "build", "run", "all"},
           "The dependencies to fetch (default: none)");
    session_options(*fetch, fetch_);
    source_remote_options(*fetch, fetch_.remotes, false, "downloading");
    on(fetch, [this] { return Command(fetch_); });

    auto* track = add_verb(*group, "track", "Track new source references");
    track->footer(
        fmt::format("Asks where sources come from for new versions, and writes their references "
                    "into the project: into the\n"
                    "elements' files, or into project.refs.\n"
                    "Without ELEMENTS those of the project's default targets are tracked, or else "
                    "those of all its elements.\n"
                    "--deps says whose sources are tracked:\n{}",
                    kDepsHelp));
    track->add_option("elements", track_.targets)->type_name("ELEMENTS");
    once_each(
        track->add_option("--except", track_.except, "Except certain dependencies from tracking"))
        ->type_name("PATH");
    choice(*track, "-d,--deps", track_.deps, {"build", "run", "all", "none"},
           "The dependencies to track (default: none)");
    track->add_flag("-J,--cross-junctions", track_.cross_junctions,
                    "Allow crossing junction boundaries");
    session_options(*track, track_);
    on(track, [this] {
      if (track_.deps == "none") track_.deps = "redirect";
      return Command(track_);
    });

    auto* checkout = add_verb(*group, "checkout", "Checkout sources of an element");
    checkout->footer(
        fmt::format("Each element's sources come into a directory of the element's name. --deps "
                    "says whose:\n{}",
                    kDepsHelp));
    checkout->add_option("element", source_checkout_.target)->type_name("ELEMENT");
    checkout->add_flag("-f,--force", source_checkout_.force, "Allow files to be overwritten");
    once_each(
        checkout->add_option("--except", source_checkout_.except, "Except certain dependencies"))
        ->type_name("PATH");
    choice(*checkout, "-d,--deps", source_checkout_.deps, {"build", "none", "run", "all"},
           "The dependencies whose sources to checkout (default: none)");
    value(*checkout, "--tar", source_checkout_.tar, "LOCATION",
          "Create a tarball of the sources; '-' is the standard output");
    choice(*checkout, "--compression", source_checkout_.compression, {"gz", "xz", "bz2"},
           "The compression of the tarball created");
    checkout->add_flag("--include-build-scripts", source_checkout_.build_scripts,
                       "Add scripts that build the elements without a sandbox");
    last_checked(value(*checkout, "--directory", source_checkout_.directory, "DIRECTORY",
                       "The directory to checkout the sources to (default: source-checkout)"),
                 no_file("--directory"));
    source_remote_options(*checkout, source_checkout_.remotes, false, "downloading cached");
    on(checkout, [this] {
      if (!source_checkout_.tar.empty() && source_checkout_.directory != "source-checkout")
        throw Conflict{"options --directory and --tar conflict"};
      if (!source_checkout_.compression.empty() && source_checkout_.tar.empty())
        throw Conflict{"--compression specified without --tar"};
      return Command(source_checkout_);
    });

    auto* push = add_verb(*group, "push", "Push sources to remote source caches");
    push->footer(
        fmt::format("Sources that aren't there yet are fetched first.\n"
                    "Without ELEMENTS those of the project's default targets are pushed, or else "
                    "those of all its elements.\n"
                    "--deps says whose sources are pushed:\n{}",
                    kDepsHelp));
    push->add_option("elements", source_push_.targets)->type_name("ELEMENTS");
    once_each(push->add_option("--except", source_push_.except,
                               "Except certain dependencies from pushing"))
        ->type_name("PATH");
    choice(*push, "-d,--deps", source_push_.deps, {"build", "none", "run", "all"},
           "The dependencies to push (default: none)");
    session_options(*push, source_push_);
    source_remote_options(*push, source_push_.remotes, true, "uploading");
    on(push, [this] { return Command(source_push_); });
  }

  void add_workspace() {
    auto* group = add_verb(app_, "workspace", "Manipulate developer workspaces");
    group->footer(
        "A workspace is a directory that takes the place of an element's sources. In it, commands "
        "work on that element.\n");
    group->require_subcommand(1);

    auto* open = add_verb(*group, "open", "Open a new workspace");
    open->add_option("elements", workspace_open_.elements)->type_name("ELEMENTS")->required();
    open->add_flag("--no-checkout", workspace_open_.no_checkout,
                   "Do not checkout the source, only link to the given directory");
    open->add_flag("-f,--force", workspace_open_.force,
                   "Also when the directory is not empty, or a workspace of that element exists "
                   "already: it is replaced");
    last_checked(value(*open, "--directory", workspace_open_.directory, "DIRECTORY",
                       "The directory of the workspace, of a single element"),
                 no_file("--directory"));
    source_remote_options(*open, workspace_open_.remotes, false, "downloading cached");
    on(open, [this] { return Command(workspace_open_); });

    auto* close = add_verb(*group, "close", "Close workspaces");
    close->add_option("elements", workspace_close_.elements)->type_name("ELEMENTS");
    close->add_flag("--remove-dir", workspace_close_.remove_directory,
                    "Remove the path that contains the closed workspace");
    close->add_flag("-a,--all", workspace_close_.all, "Close all open workspaces");
    on(close, [this] { return Command(workspace_close_); });

    auto* reset = add_verb(*group, "reset", "Reset a workspace to its original state");
    reset->add_option("elements", workspace_reset_.elements)->type_name("ELEMENTS");
    reset->add_flag("--soft", workspace_reset_.soft,
                    "Configure again at the next build; the content of the workspace stays");
    reset->add_flag("-a,--all", workspace_reset_.all,
                    "Reset all open workspaces; without ELEMENTS");
    on(reset, [this] { return Command(workspace_reset_); });

    auto* list = add_verb(*group, "list", "List open workspaces");
    on(list, [] { return Command(WorkspaceListCommand{}); });
  }

  void add_init() {
    auto* sub = add_verb(app_, "init", "Initialize a new BuildStream project");
    sub->footer("Without --project-name it asks, on a terminal.\n");
    sub->add_option("directory", init_.directory)
        ->type_name("TARGET_DIRECTORY")
        ->check(no_file("TARGET_DIRECTORY"));
    value(*sub, "--project-name", init_.name, "TEXT", "The project name to use");
    value(*sub, "--min-version", init_.min_version, "TEXT",
          "The required format version (default: 2.8)");
    value(*sub, "--element-path", init_.element_path, "PATH",
          "The subdirectory to store elements in (default: elements)");
    sub->add_flag("-f,--force", init_.force, "Allow overwriting an existing project.conf");
    on(sub, [this] { return Command(init_); });
  }

  void add_artifact() {
    auto* group = add_verb(app_, "artifact", "Manipulate cached artifacts");
    group->footer(
        "An artifact is named by an element (hello.bst) or by PROJECT/ELEMENT/KEY; the latter may "
        "hold wildcards:\n"
        "? matches a character, * any number, but not '/', ** that too: myproject/he*/827637*\n");
    group->require_subcommand(1);

    auto* checkout = add_verb(*group, "checkout", "Checkout contents of an artifact");
    checkout->add_option("target", checkout_.target)->type_name("TARGET");
    checkout->add_flag("-f,--force", checkout_.force, "Allow files to be overwritten");
    choice(*checkout, "-d,--deps", checkout_.deps, {"run", "build", "none", "all"},
           "The dependencies to checkout (default: run)");
    checkout->add_flag("--integrate,!--no-integrate", checkout_.integrate,
                       "Whether to run integration commands (default: yes)");
    checkout->add_flag("--hardlinks", checkout_.hardlinks,
                       "Checkout hardlinks instead of copying if possible");
    value(*checkout, "--tar", checkout_.tar, "LOCATION",
          "Create a tarball; '-' is the standard output");
    choice(*checkout, "--compression", checkout_.compression, {"gz", "xz", "bz2"},
           "The compression of the tarball created");
    last_checked(value(*checkout, "--directory", checkout_.directory, "DIRECTORY",
                       "The directory to checkout the artifact to"),
                 no_file("--directory"));
    artifact_remote_options(*checkout, checkout_.remotes, false, "downloading");
    on(checkout, [this] {
      checkout_conflicts();
      return Command(checkout_);
    });

    auto* list = add_verb(*group, "list-contents", "List the contents of an artifact");
    list->add_option("artifacts", list_contents_.artifacts)->type_name("ARTIFACTS");
    list->add_flag("-l,--long", list_contents_.detailed,
                   "Provide more information about the contents of the artifact");
    on(list, [this] { return Command(list_contents_); });

    auto* log = add_verb(*group, "log", "Show logs of artifacts");
    log->add_option("artifacts", log_.artifacts)->type_name("ARTIFACTS");
    value(*log, "--out", log_.out, "PATH",
          "Output logs to individual files in the directory PATH, which is made");
    on(log, [this] { return Command(log_); });

    auto* show = add_verb(*group, "show", "Show the cached state of artifacts");
    show->add_option("artifacts", artifact_show_.artifacts)->type_name("ARTIFACTS");
    choice(*show, "-d,--deps", artifact_show_.deps, {"build", "run", "all", "none"},
           "The dependencies we also want to show (default: none)");
    artifact_remote_options(*show, artifact_show_.remotes, false, "downloading");
    on(show, [this] { return Command(artifact_show_); });

    auto* remove = add_verb(*group, "delete", "Remove artifacts from the local cache");
    remove->add_option("artifacts", artifact_delete_.artifacts)->type_name("ARTIFACTS");
    choice(*remove, "-d,--deps", artifact_delete_.deps, {"none", "run", "build", "all"},
           "The dependencies to delete (default: none)");
    on(remove, [this] { return Command(artifact_delete_); });

    auto* pull = add_verb(*group, "pull", "Pull a built artifact from remote artifact caches");
    auto* push = add_verb(*group, "push", "Push built artifacts to remote artifact caches");
    pull->footer(
        fmt::format("Without ARTIFACTS those of the project's default targets are pulled, or else "
                    "those of all its elements.\n"
                    "--deps says whose artifacts are pulled:\n{}",
                    kDepsHelp));
    push->footer(
        fmt::format("What isn't cached is pulled first, when another remote has it.\n"
                    "Without ARTIFACTS those of the project's default targets are pushed, or else "
                    "those of all its elements.\n"
                    "--deps says whose artifacts are pushed:\n{}",
                    kDepsHelp));
    pull->add_option("artifacts", pull_.targets)->type_name("ARTIFACTS");
    push->add_option("artifacts", push_.targets)->type_name("ARTIFACTS");
    choice(*pull, "-d,--deps", pull_.deps, {"build", "none", "run", "all"},
           "The dependency artifacts to pull (default: none)");
    choice(*push, "-d,--deps", push_.deps, {"build", "none", "run", "all"},
           "The dependencies to push (default: none)");
    session_options(*pull, pull_);
    session_options(*push, push_);
    artifact_remote_options(*pull, pull_.remotes, false, "downloading");
    artifact_remote_options(*push, push_.remotes, true, "uploading");
    on(pull, [this] { return Command(pull_); });
    on(push, [this] { return Command(push_); });
  }

  void add_store() {
    auto* group = add_verb(app_, "store", "Look after the cache of this machine");
    group->require_subcommand(1);
    auto* check = add_verb(*group, "check", "Check everything in the cache");
    check->footer("What is damaged or incomplete is told, and the status is 1.\n");
    check->add_flag(
        "--repair", store_check_.repair,
        "Remove what is damaged, so that it is pulled or built again when it is needed");
    on(check, [this] { return Command(store_check_); });
  }

  void add_session() {
    auto* group = add_verb(app_, "session", "Steer sessions that run");
    group->footer("Without an ID: the newest session that lives, one of this project first.\n");
    group->require_subcommand(1);
    auto* list = add_verb(*group, "list", "List sessions");
    on(list, [] { return Command(SessionListCommand{}); });
    auto* start = add_verb(
        *group, "start",
        "Start a session that commands with --session can use, and that ends by `session stop`");
    on(start, [] { return Command(SessionStartCommand{}); });
    auto* attach =
        add_verb(*group, "attach", "Show a session on this terminal; Ctrl-C ends the showing only");
    attach->add_option("id", attach_.id)->type_name("ID");
    choice(*attach, "--style", attach_.style, {"tty", "plain", "json"},
           "How it is shown (default: tty on a terminal, else plain)");
    on(attach, [this] { return Command(attach_); });
    const std::array<std::pair<const char*, const char*>, 6> verbs = {
        {{"suspend", "Stop all jobs of a session until it is resumed"},
         {"resume",
          "Let a session go on that was suspended, or all of whose processes were killed"},
         {"quit", "Let a session finish what runs and start nothing more"},
         {"kill", "Kill the jobs of a session's run"},
         {"detach", "Let a session outlive the command that started it"},
         {"stop", "End a session: its jobs are killed"}}};
    for (const auto& [verb, help] : verbs) {
      auto* sub = add_verb(*group, verb, help);
      sub->add_option("id", control_.id)->type_name("ID");
      on(sub, [this, verb = std::string(verb)] {
        control_.verb = verb;
        return Command(control_);
      });
    }
    auto* retry =
        add_verb(*group, "retry", "Try an element again that failed in the run that is under way");
    retry->add_option("element", control_.element)->type_name("ELEMENT")->required();
    auto* answer = add_verb(*group, "answer", "Answer the prompt of an element that failed");
    answer->add_option("prompt", control_.prompt)->type_name("PROMPT")->required();
    answer->add_option("choice", control_.choice)
        ->type_name("continue|quit|terminate|retry")
        ->required();
    auto* builders = add_verb(*group, "builders", "Set how many builds a session does at once");
    auto* fetchers = add_verb(*group, "fetchers", "Set how many fetches a session does at once");
    for (auto* sub : {builders, fetchers}) {
      sub->add_option("number", control_.number)
          ->type_name("N")
          ->required()
          ->check(CLI::Validator(CLI::Range(1u, wire::kMostJobs)).description(""));
    }
    for (auto* sub : {retry, answer, builders, fetchers}) {
      sub->add_option("id", control_.id)->type_name("ID");
      on(sub, [this, verb = sub->get_name()] {
        control_.verb = verb;
        return Command(control_);
      });
    }
  }

  void add_help() {
    auto* sub = add_verb(app_, "help", "Print usage information");
    sub->set_help_flag();
    sub->add_option("command", help_)->type_name("COMMAND");
    help_command_ = sub;
  }

  void checkout_conflicts() {
    const auto refuse = [](const char* why) { throw Conflict{why}; };
    if (checkout_.hardlinks && !checkout_.tar.empty())
      refuse("options --hardlinks and --tar conflict");
    if (!checkout_.directory.empty() && !checkout_.tar.empty())
      refuse("options --directory and --tar conflict");
    if (!checkout_.compression.empty() && checkout_.tar.empty())
      refuse("--compression can only be provided if --tar is provided");
  }

  static CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& help) {
    return parent.add_subcommand(name, help)->group("Commands")->footer("");
  }
  void on(CLI::App* sub, std::function<Command()> make) {
    makers_.emplace_back(sub, std::move(make));
  }

  void finish(CommandLine& line) {
    if (version_) {
      line.output = version();
      return;
    }
    if (help_command_->parsed()) {
      CLI::App* app = &app_;
      for (const auto& word : help_) {
        const auto named = app->get_subcommands([&](const CLI::App* sub) {
          return sub->get_name() == word && !sub->get_group().empty();
        });
        app = named.empty() ? nullptr : const_cast<CLI::App*>(named.front());
        if (app == nullptr) {
          line.output = fmt::format("Not a valid command: 'sluice {}'\n", fmt::join(help_, " "));
          line.status = kFailure;
          return;
        }
      }
      line.output = help_of(app);
      return;
    }
    for (const auto& [sub, make] : makers_) {
      if (!sub->parsed()) continue;
      line.command = make();
      line.verb = Formatter::path_of(sub).substr(std::string_view("sluice ").size());
      line.global = global_;
      if (line.global.json_log.empty()) {
        if (const char* file = std::getenv("SLUICE_JSON_LOG")) line.global.json_log = file;
      }
      return;
    }
    // As bst: no command at all shows the help.
    line.output = help_of(&app_);
    line.status = kUsage;
  }

  CLI::App app_;
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
  SessionControlCommand control_;
  std::string free_;
  Strings help_;
  CLI::App* help_command_ = nullptr;
  std::vector<std::pair<CLI::App*, std::function<Command()>>> makers_;
};

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  return Parser().parse(arguments);
}

CommandShape command_shape() { return Parser().shape(); }

std::string current_directory() {
  char buffer[4096];
  return ::getcwd(buffer, sizeof buffer) != nullptr ? buffer : ".";
}

wire::LoadArguments load_arguments(const GlobalOptions& global) {
  wire::LoadArguments load;
  load.what.directory = global.directory.empty() ? current_directory() : global.directory;
  if (load.what.directory.front() != '/')
    load.what.directory = current_directory() + "/" + load.what.directory;
  load.what.options = global.options;
  load.what.config = global.config;
  if (!load.what.config.empty() && load.what.config.front() != '/')
    load.what.config = current_directory() + "/" + load.what.config;
  load.overrides = global.overrides;
  return load;
}

}  // namespace sluice::cli
