#include <array>
#include <charconv>
#include <filesystem>

#include "cli/option_parser.h"
#include "cli/query_language.h"
#include "cli/remote_option.h"

namespace sluice::cli {

namespace {

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

}  // namespace

CLI::Validator no_file(const std::string& option) {
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

CLI::Validator not_negative() {
  const auto check = [](const std::string& value) {
    return value.starts_with('-') ? value + " is less than 0" : std::string();
  };
  return CLI::Validator(check, "", "");
}

CLI::Option* last_checked(CLI::Option* option, CLI::Validator validator) {
  const auto check = [option, validator = std::move(validator)](std::string& value) {
    return value == option->results().back() ? validator(value) : std::string();
  };
  return option->check(CLI::Validator(check, "", ""));
}

void remote_option(CLI::App& app, const std::string& name, std::vector<model::Remote>& into,
                   std::optional<bool> push, const std::string& help) {
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

void artifact_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                             const std::string& what) {
  remote_option(app, "--artifact-remote", into.artifacts, push,
                fmt::format("A remote for {} artifacts", what));
  app.add_flag("--ignore-project-artifact-remotes", into.ignore_project_artifacts,
               "Ignore remote artifact cache servers recommended by projects");
}

void source_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                           const std::string& what) {
  remote_option(app, "--source-remote", into.sources, push,
                fmt::format("A remote for {} sources", what));
  app.add_flag("--ignore-project-source-remotes", into.ignore_project_sources,
               "Ignore remote source cache servers recommended by projects");
}

namespace {

// Reads "90", "90s", "15m", "2h", "1d" as seconds; "never" as 0.
std::string read_duration(const std::string& text, std::uint32_t& seconds) {
  if (text == "never") {
    seconds = 0;
    return {};
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::uint64_t factor = unit.empty() || unit == "s" ? 1
                               : unit == "m"               ? 60
                               : unit == "h"               ? 3600
                               : unit == "d"               ? 86400
                                                           : 0;
  if (error != std::errc() || factor == 0 || number == 0 || number > 0xffffffff / factor)
    return fmt::format("'{}' is no duration such as 90s, 15m, 2h, 1d or 'never'", text);
  seconds = static_cast<std::uint32_t>(number * factor);
  return {};
}

CLI::Option* duration(CLI::App& app, const std::string& name, std::uint32_t& into,
                      const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&into, name](const std::string& text) {
            if (const std::string wrong = read_duration(text, into); !wrong.empty())
              throw CLI::ValidationError(name, wrong);
          },
          help)
      ->type_name("DURATION")
      ->take_last();
}

// Reads "tcp://HOST:PORT", and "[::1]" as a host.
std::string read_listen(const std::string& text, ListenOptions& into) {
  const std::string wrong = fmt::format("'{}' is no address such as tcp://0.0.0.0:7420", text);
  if (!text.starts_with("tcp://")) return wrong;
  const auto colon = text.rfind(':');
  std::string host = text.substr(6, colon <= 6 ? std::string::npos : colon - 6);
  const std::string port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), into.port);
  if (host.empty() || error != std::errc() || end != port.data() + port.size() ||
      into.port > 65535 - 5)
    return wrong;
  into.host = host;
  into.given = text;
  return {};
}

}  // namespace

void listen_options(CLI::App& app, ListenOptions& into) {
  auto* listen =
      app.add_option_function<std::string>(
             "--listen",
             [&into](const std::string& text) {
               if (const std::string wrong = read_listen(text, into); !wrong.empty())
                 throw CLI::ValidationError("--listen", wrong);
             },
             "Let runners and renderers of other machines join: six ports from this one on "
             "(0: free ones)")
          ->type_name("tcp://HOST:PORT")
          ->take_last();
  value(app, "--advertise", into.advertise, "HOST", "HOST as others reach it")->needs(listen);
  value(app, "--join-files", into.join_files, "DIRECTORY",
        "Where runner.json, observe.json and control.json are written (default: the session's "
        "state directory)")
      ->needs(listen);
  duration(app, "--join-expires", into.expires_s,
           "How long the join files let others in, or 'never' (default: 1d)")
      ->needs(listen);
  app.add_flag("--allow-skew", into.allow_skew,
               "Take runners whose builds may come out differently, since their machine or their "
               "Sluice is another")
      ->needs(listen);
}

CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& help) {
  return parent.add_subcommand(name, help)->group("Commands")->footer("");
}

void Parser::add_build() {
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
  listen_options(*sub, build_.listen);
  artifact_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading");
  source_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading cached");
  on(sub, [this] { return Command(build_); });
}

void Parser::add_show() {
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

void Parser::add_query() {
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
  once_each(
      sub->add_option("-u,--universe", query_.universe, "Load this target, with all that it needs"))
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

void Parser::add_why() {
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
  last_checked(value(*sub, "--limit", why_.limit, "N", "Show at most so many chains (default: 10)"),
               CLI::PositiveNumber);
  sub->add_flag("--json", why_.json, "Print a JSON document");
  on(sub, [this] { return Command(why_); });
}

void Parser::add_explain() {
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

void Parser::add_shell() {
  auto* sub = add_verb(app_, "shell", "Shell into an element's sandbox environment");
  sub->footer(
      "Stages TARGET, which must be built, with its runtime dependencies, and runs COMMAND, or "
      "an interactive\n"
      "shell. --build stages build dependencies and sources instead. Its status is the "
      "command's.\n"
      "Options of the command come after '--': sluice shell hello.bst -- ls -l\n");
  sub->add_option("target", shell_.target)->type_name("TARGET");
  sub->add_option("command", shell_.command)->type_name("COMMAND");
  // Never filled, as COMMAND takes all: without a positional that is free CLI11 refuses what stands
  // after "--" when COMMAND began before it.
  sub->add_option("free", free_)->group("");
  sub->add_flag("-b,--build", shell_.build, "Stage dependencies and sources to build");
  once_each(sub->add_option("--mount", shell_.mounts, "Mount a file or directory into the sandbox"))
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

void Parser::add_source() {
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
  once_each(
      push->add_option("--except", source_push_.except, "Except certain dependencies from pushing"))
      ->type_name("PATH");
  choice(*push, "-d,--deps", source_push_.deps, {"build", "none", "run", "all"},
         "The dependencies to push (default: none)");
  session_options(*push, source_push_);
  source_remote_options(*push, source_push_.remotes, true, "uploading");
  on(push, [this] { return Command(source_push_); });
}

void Parser::add_workspace() {
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
  reset->add_flag("-a,--all", workspace_reset_.all, "Reset all open workspaces; without ELEMENTS");
  on(reset, [this] { return Command(workspace_reset_); });

  auto* list = add_verb(*group, "list", "List open workspaces");
  on(list, [] { return Command(WorkspaceListCommand{}); });
}

void Parser::add_init() {
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

void Parser::add_artifact() {
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

  auto* diff = add_verb(*group, "diff", "Show what differs between two artifacts");
  diff->footer(
      "Files, modes, links and contents, public data, and what the keys are made of. The status is "
      "that of diff(1):\n"
      "0 when the artifacts hold the same, 1 when they don't, 2 when they can't be compared.\n");
  diff->add_option("before", artifact_diff_.before)->type_name("ARTIFACT")->required();
  diff->add_option("after", artifact_diff_.after)->type_name("ARTIFACT")->required();
  diff->add_flag("-t,--text", artifact_diff_.text, "Show how the lines of texts differ");
  diff->add_flag("--json", artifact_diff_.json, "Print a JSON document");
  on(diff, [this] { return Command(artifact_diff_); });

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

void Parser::add_store() {
  auto* group = add_verb(app_, "store", "Look after the cache of this machine");
  group->require_subcommand(1);
  auto* check = add_verb(*group, "check", "Check everything in the cache");
  check->footer("What is damaged or incomplete is told, and the status is 1.\n");
  check->add_flag("--repair", store_check_.repair,
                  "Remove what is damaged, so that it is pulled or built again when it is needed");
  on(check, [this] { return Command(store_check_); });
}

void Parser::add_session() {
  auto* group = add_verb(app_, "session", "Steer sessions that run");
  group->footer("Without an ID: the newest session that lives, one of this project first.\n");
  group->require_subcommand(1);
  auto* list = add_verb(*group, "list", "List sessions");
  on(list, [] { return Command(SessionListCommand{}); });
  auto* start = add_verb(
      *group, "start",
      "Start a session that commands with --session can use, and that ends by `session stop`");
  listen_options(*start, session_start_.listen);
  on(start, [this] { return Command(session_start_); });
  auto* attach =
      add_verb(*group, "attach", "Show a session on this terminal; Ctrl-C ends the showing only");
  attach->footer(
      "In place of an ID: the path of observe.json or control.json, of a session on "
      "another machine.\n");
  attach->add_option("id", attach_.id)->type_name("ID");
  choice(*attach, "--style", attach_.style, {"tty", "plain", "json"},
         "How it is shown (default: tty on a terminal, else plain)");
  on(attach, [this] { return Command(attach_); });
  auto* log = add_verb(*group, "log", "Show the log of a job while it runs, to its end");
  log->footer(
      "ELEMENT is an element, whose last job that has started is shown, or the number of a job. In "
      "place of an ID: the path\n"
      "of observe.json or control.json, of a session on another machine.\n");
  log->add_option("what", session_log_.what)->type_name("ELEMENT")->required();
  log->add_option("id", session_log_.id)->type_name("ID");
  value(*log, "--from", session_log_.from, "BYTE", "Leave out what is before (default: 0)");
  on(log, [this] { return Command(session_log_); });
  auto* explain = add_verb(*group, "explain", "Say why elements were built in a session");
  explain->add_option("id", session_explain_.id)->type_name("ID")->required();
  explain->add_option("element", session_explain_.element)->type_name("ELEMENT");
  explain->add_flag("--json", session_explain_.json, "Print a JSON document");
  on(explain, [this] { return Command(session_explain_); });
  const std::array<std::pair<const char*, const char*>, 6> verbs = {
      {{"suspend", "Stop all jobs of a session until it is resumed"},
       {"resume", "Let a session go on that was suspended, or all of whose processes were killed"},
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
  auto* revoke =
      add_verb(*group, "revoke", "Let a runner, or whoever has joined under that name, in no more");
  revoke->add_option("name", revoke_.name)->type_name("NAME")->required();
  revoke->add_option("id", revoke_.id)->type_name("ID");
  on(revoke, [this] { return Command(revoke_); });
  auto* retry =
      add_verb(*group, "retry", "Try an element again that failed in the run that is under way");
  retry->add_option("element", control_.element)->type_name("ELEMENT")->required();
  auto* answer = add_verb(*group, "answer", "Answer the prompt of an element that failed");
  answer->add_option("prompt", control_.prompt)
      ->type_name("PROMPT")
      ->required()
      ->check(not_negative());
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

namespace {

// What a runner is told by whoever starts it.
void runner_options(CLI::App& app, RunnerJoinCommand& into) {
  value(app, "--slots", into.slots, "N",
        "How many builds at once (default: half as many as there are processors)")
      ->check(CLI::Validator(CLI::Range(1u, wire::kMostJobs)).description(""));
  once_each(app.add_option("--label", into.labels,
                           "What elements may ask for by `runner-labels`; may be repeated"))
      ->type_name("LABEL");
  value(app, "--cache", into.cache, "DIRECTORY", "The store of the runner");
  value(app, "--address", into.address, "HOST",
        "Where the session is reached, in place of the join file's host");
  duration(app, "--idle", into.idle_s, "Leave after so long without a job");
  duration(app, "--lifetime", into.lifetime_s,
           "Take no more jobs after so long, and leave when the last has ended");
}

}  // namespace

void Parser::add_runner() {
  auto* group = add_verb(app_, "runner", "Have other machines build for a session");
  group->require_subcommand(1);
  auto* join = add_verb(*group, "join", "Build for the session of a join file, until that ends");
  join->footer("FILE is the runner.json of `session start --listen` or `build --listen`.\n");
  join->add_option("file", runner_join_.file)->type_name("FILE")->required();
  runner_options(*join, runner_join_);
  value(*join, "--name", runner_join_.name, "NAME",
        "What the session calls it (default: the machine's name)");
  on(join, [this] { return Command(runner_join_); });
  auto* start =
      add_verb(*group, "start", "Start runners on other machines, and end them with the session");
  start->footer(
      "Runs until the session ends or SIGINT or SIGTERM comes: then the runners finish what they "
      "build, and leave.\nA second signal doesn't wait for that.\n"
      "ENGINE-OPTIONS are ssh's or sbatch's own, after '--':\n"
      "  sluice runner start --ssh hostb,hostc -- -l builder\n"
      "  sluice runner start --slurm 20 -- --partition=build -t 2:00:00\n");
  auto* ssh = once_each(start->add_option("--ssh", runner_start_.ssh,
                                          "A runner on each of these hosts, with commas between "
                                          "them; may be repeated"))
                  ->type_name("HOSTS")
                  ->delimiter(',')
                  ->take_all();
  value(*start, "--slurm", runner_start_.slurm, "N", "As many jobs of Slurm, a runner each")
      ->check(CLI::Validator(CLI::Range(1u, wire::kMostJobs)).description(""))
      ->excludes(ssh);
  value(*start, "--session", runner_start_.id, "ID",
        "The session (default: the newest that lives)");
  value(*start, "--program", runner_start_.program, "PATH",
        "How `sluice` is called there (default: sluice)");
  runner_options(*start, runner_start_.join);
  start->add_option("options", runner_start_.engine_options)->type_name("ENGINE-OPTIONS");
  start->callback([this] {
    const Strings& options = runner_start_.engine_options;
    if (!options.empty() && !options.front().starts_with('-'))
      throw CLI::ValidationError(
          "OPTIONS", fmt::format("'{}' is no option of ssh or sbatch", options.front()));
    for (const std::string& host : runner_start_.ssh) {
      if (host.empty() || host.starts_with('-'))
        throw CLI::ValidationError("--ssh", fmt::format("'{}' is no host", host));
    }
    if (runner_start_.ssh.empty() && runner_start_.slurm == 0)
      throw CLI::ValidationError("runner start", "--ssh or --slurm must say where");
  });
  on(start, [this] { return Command(runner_start_); });
  auto* list = add_verb(*group, "list", "List the runners of a session");
  list->add_option("id", runner_list_.id)->type_name("ID");
  list->add_flag("--json", runner_list_.json, "Print a JSON document");
  on(list, [this] { return Command(runner_list_); });
  auto* drain = add_verb(*group, "drain", "Have a runner finish what it builds, and leave");
  auto* stop = add_verb(*group, "stop", "Have a runner leave now; what it builds is built again");
  for (auto* sub : {drain, stop}) {
    sub->add_option("name", runner_control_.name)->type_name("NAME")->required();
    sub->add_option("id", runner_control_.id)->type_name("ID");
    on(sub, [this, verb = sub->get_name()] {
      runner_control_.verb = verb;
      return Command(runner_control_);
    });
  }
}

void Parser::add_pages() {
  auto* report = add_verb(app_, "report", "Write a page about a session into one HTML file");
  report->footer(
      "Without an ID: the newest session, living or not, one of this project first.\n");
  report->add_option("id", report_.id)->type_name("ID");
  value(*report, "--output", report_.output, "FILE",
        "Where it goes; '-' is standard output (default: sluice-report-ID.html)");
  value(*report, "--compare", report_.compare, "ID", "An earlier session to compare with");
  on(report, [this] { return Command(report_); });
  auto* web = add_verb(app_, "web", "Show and steer sessions in a browser of this machine");
  web->footer(
      "Prints the address, and serves it until Ctrl-C. ID is opened first; without it the newest "
      "session that lives.\n");
  web->add_option("id", web_.id)->type_name("ID");
  value(*web, "--port", web_.port, "N", "The port on 127.0.0.1 (default: the system chooses)");
  web->add_flag("--no-open", web_.no_open, "Open no browser");
  web->add_flag("--read-only", web_.read_only, "Sessions can be seen, and not steered");
  on(web, [this] { return Command(web_); });
}

void Parser::add_help() {
  auto* sub = add_verb(app_, "help", "Print usage information");
  sub->set_help_flag();
  sub->add_option("command", help_)->type_name("COMMAND");
  help_command_ = sub;
}

void Parser::checkout_conflicts() {
  const auto refuse = [](const char* why) { throw Conflict{why}; };
  if (checkout_.hardlinks && !checkout_.tar.empty())
    refuse("options --hardlinks and --tar conflict");
  if (!checkout_.directory.empty() && !checkout_.tar.empty())
    refuse("options --directory and --tar conflict");
  if (!checkout_.compression.empty() && checkout_.tar.empty())
    refuse("--compression can only be provided if --tar is provided");
}

}  // namespace sluice::cli
