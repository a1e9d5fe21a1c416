#include <filesystem>

#include "cli/option_parser.h"
#include "cli/query_language.h"

namespace sluice::cli {

namespace {

constexpr std::string_view kFormatHelp =
    "FORMAT is what is printed for each element. Its symbols:\n"
    "  %{name}                 The element's full name\n"
    "  %{kind}                 The element's kind\n"
    "  %{description}          The element's description, on a single line\n"
    "  %{key}                  The abbreviated cache key\n"
    "  %{full-key}             The full cache key\n"
    "  %{state}                cached, failed, buildable, fetch needed, waiting, no reference or "
    "junction\n"
    "  %{config}               The element's configuration\n"
    "  %{vars}                 Variables\n"
    "  %{env}                  Environment\n"
    "  %{public}               Public data\n"
    "  %{workspaced}           Whether the element is workspaced\n"
    "  %{workspace-dirs}       Directories of its workspace\n"
    "  %{deps}                 Dependencies\n"
    "  %{build-deps}           Build dependencies\n"
    "  %{runtime-deps}         Runtime dependencies\n"
    "  %{source-info}          Where the sources come from\n"
    "  %{artifact-cas-digest}  Digest of the artifact's files\n"
    "A symbol without its % is a Python format string: '%{name: ^20} %{key: >8}'.\n";

}  // namespace

void Parser::add_build() {
  auto* sub = add_verb(
      app_, "build", "Build elements in a pipeline",
      {{"sluice build app.bst", "Build app.bst and what it needs"},
       {"sluice --builders 2 build --deps all",
        "Build the project's default targets with all of their dependencies, two at a time"}});
  sub->footer(fmt::format(
      "Without ELEMENTS the project's default targets are built, or else all of its elements.\n"
      "--deps says which dependencies must be built (others are built when they are needed):\n{}",
      kDepsHelp));
  sub->add_option("elements", build_.targets)->type_name("ELEMENTS");
  choice(*sub, "-d,--deps", build_.deps, {"none", "build", "run", "all"},
         "The dependencies to build");
  sub->add_flag("-r,--retry-failed", build_.retry_failed,
                "Try to build elements for which a failed build artifact is found");
  sub->add_flag("--check", build_.check,
                "Build what is cached once more, and fail where that comes out differently; "
                "--deps says what is checked besides (default: none)");
  session_options(*sub, build_);
  sub->add_flag("--json", build_.json, "Print a JSON document of what --check has found")
      ->needs("--check")
      ->excludes("--detach");
  listen_options(*sub, build_.listen);
  artifact_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading");
  source_remote_options(*sub, build_.remotes, std::nullopt, "uploading and downloading cached");
  on(sub, [this] { return Command(build_); });
}

void Parser::add_show() {
  auto* sub =
      add_verb(app_, "show", "Show elements in the pipeline",
               {{"sluice show app.bst", "Show app.bst and its dependencies, with their states"},
                {"sluice show --deps none --format '%{name} %{full-key}' app.bst",
                 "Print the full cache key of app.bst"}});
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
      add_verb(app_, "query", "Find elements by what they depend on and what depends on them",
               {{"sluice query 'deps(app.bst)'", "List all that app.bst needs"},
                {"sluice query --format '%{name} %{kind}' 'rdeps(base/zlib.bst)'",
                 "List all that needs base/zlib.bst, with their kinds"}});
  sub->footer(
      fmt::format("QUERY is an expression over sets of elements; put it in quotation marks. Its "
                  "parts, X and Y being expressions:\n{}"
                  "\nThe universe is what is loaded: that of --universe, else the project's "
                  "default targets, or else all of its "
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
  auto* sub = add_verb(
      app_, "why", "Show which dependencies bring an element in",
      {{"sluice why base/zlib.bst", "Show how the project's targets come to need base/zlib.bst"},
       {"sluice why --deps run --all base/zlib.bst app.bst",
        "Show every chain of runtime dependencies from app.bst to it"}});
  sub->footer(
      fmt::format("Shows the shortest chain of dependencies from each target to ELEMENT. Without "
                  "TARGETS: from each of the project's "
                  "default targets, or else of all its elements, that nothing else needs.\n"
                  "--deps says which chains count:\n"
                  "  run:    Runtime dependencies\n"
                  "  build:  A build dependency, then what that needs at run time\n"
                  "  all:    All dependencies\n"));
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
  auto* sub =
      add_verb(app_, "explain", "Explain why an element will be built",
               {{"sluice explain app.bst", "Say what has changed since app.bst was built last"},
                {"sluice explain --against 3f2a app.bst",
                 "Compare with the artifact whose key begins with 3f2a"}});
  sub->footer(
      "Compares what ELEMENT's key is made of with the newest artifact of it in the cache, and "
      "follows dependencies whose keys changed to where that began.\n");
  sub->add_option("element", explain_.element)->type_name("ELEMENT")->required();
  value(*sub, "--against", explain_.against, "KEY",
        "Compare with the artifact of this key, or the only one with this beginning");
  sub->add_flag("--json", explain_.json, "Print a JSON document");
  on(sub, [this] { return Command(explain_); });
}

void Parser::add_sbom() {
  auto* sub = add_verb(
      app_, "sbom", "Write a bill of materials",
      {{"sluice sbom app.bst --output app.spdx.json", "Write what app.bst is made of, as SPDX"},
       {"sluice sbom --format cyclonedx --deps run app.bst",
        "The same as CycloneDX, of what runs alone"}});
  sub->footer(
      fmt::format("Of ELEMENTS, or else of the project's default targets, or all of its elements: "
                  "what each is, what it needs,\n"
                  "and where its sources come from.\n"
                  "--deps says what is in it; what is there to build alone is marked so:\n{}",
                  kDepsHelp));
  sub->add_option("elements", sbom_.targets)->type_name("ELEMENTS");
  choice(*sub, "-d,--deps", sbom_.deps, {"none", "run", "build", "all"},
         "The dependencies that are in it (default: all)");
  choice(*sub, "-f,--format", sbom_.format, {"spdx", "cyclonedx"},
         "SPDX 2.3 or CycloneDX 1.5, as JSON (default: spdx)");
  value(*sub, "-o,--output", sbom_.output, "FILE", "Write to FILE (default: the standard output)");
  on(sub, [this] { return Command(sbom_); });
}

void Parser::add_shell() {
  auto* sub = add_verb(app_, "shell", "Shell into an element's sandbox environment",
                       {{"sluice shell app.bst", "Open a shell in which app.bst can be run"},
                        {"sluice shell --build app.bst -- make check",
                         "Run a command where app.bst is built, with its sources"}});
  sub->footer(
      "Stages TARGET, which must be built, with its runtime dependencies, and runs COMMAND, or "
      "an interactive shell. --build stages build dependencies and sources instead. Its status is "
      "the "
      "command's. Options of the command come after '--'.\n");
  sub->on_unknown_option = "Options of a command come after '--': sluice shell app.bst -- ls -l";
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

void Parser::add_artifact() {
  auto* group = add_verb(app_, "artifact", "Manipulate cached artifacts",
                         {{"sluice artifact checkout --directory out app.bst",
                           "Write what was built of app.bst to the directory out"},
                          {"sluice artifact log app.bst", "Show how app.bst was built"}});
  group->footer(
      "An artifact is named by an element (hello.bst) or by PROJECT/ELEMENT/KEY; the latter may "
      "hold wildcards: "
      "? matches a character, * any number, but not '/', ** that too: myproject/he*/827637*\n");
  group->require_subcommand(1);

  auto* checkout =
      add_verb(*group, "checkout", "Checkout contents of an artifact",
               {{"sluice artifact checkout --directory out app.bst",
                 "Write app.bst and what it runs with to the directory out"},
                {"sluice artifact checkout --deps none --tar app.tar.xz --compression xz app.bst",
                 "Pack the files of app.bst alone"}});
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

  auto* list = add_verb(*group, "list-contents", "List the contents of an artifact",
                        {{"sluice artifact list-contents app.bst", "List the files of app.bst"},
                         {"sluice artifact list-contents --long 'shapes/app/*'",
                          "List those of all its artifacts, with modes and sizes"}});
  list->add_option("artifacts", list_contents_.artifacts)->type_name("ARTIFACTS");
  list->add_flag("-l,--long", list_contents_.detailed,
                 "Provide more information about the contents of the artifact");
  on(list, [this] { return Command(list_contents_); });

  auto* log = add_verb(*group, "log", "Show logs of artifacts",
                       {{"sluice artifact log app.bst", "Show how app.bst was built"},
                        {"sluice artifact log --out logs 'shapes/**'",
                         "Write the logs of all artifacts of the project shapes to files"}});
  log->add_option("artifacts", log_.artifacts)->type_name("ARTIFACTS");
  value(*log, "--out", log_.out, "PATH",
        "Output logs to individual files in the directory PATH, which is made");
  on(log, [this] { return Command(log_); });

  auto* show =
      add_verb(*group, "show", "Show the cached state of artifacts",
               {{"sluice artifact show app.bst", "Say whether app.bst is cached"},
                {"sluice artifact show --deps all app.bst", "Say so of all that it needs"}});
  show->add_option("artifacts", artifact_show_.artifacts)->type_name("ARTIFACTS");
  choice(*show, "-d,--deps", artifact_show_.deps, {"build", "run", "all", "none"},
         "The dependencies we also want to show (default: none)");
  artifact_remote_options(*show, artifact_show_.remotes, false, "downloading");
  on(show, [this] { return Command(artifact_show_); });

  auto* remove = add_verb(*group, "delete", "Remove artifacts from the local cache",
                          {{"sluice artifact delete app.bst", "Remove the artifact of app.bst"},
                           {"sluice artifact delete 'shapes/app/*'",
                            "Remove all artifacts of app.bst in the project shapes"}});
  remove->add_option("artifacts", artifact_delete_.artifacts)->type_name("ARTIFACTS");
  choice(*remove, "-d,--deps", artifact_delete_.deps, {"none", "run", "build", "all"},
         "The dependencies to delete (default: none)");
  on(remove, [this] { return Command(artifact_delete_); });

  auto* diff = add_verb(
      *group, "diff", "Show what differs between two artifacts",
      {{"sluice artifact diff test/app/1a2b test/app/3c4d", "Compare two artifacts of app.bst"},
       {"sluice artifact diff --text app.bst app-debug.bst",
        "Compare two elements, and lines of their texts"}});
  diff->footer(
      "Files, modes, links and contents, public data, and what the keys are made of. The status is "
      "that of diff(1):\n"
      "0 when the artifacts hold the same, 1 when they don't, 2 when they can't be compared.\n");
  diff->add_option("before", artifact_diff_.before)->type_name("ARTIFACT")->required();
  diff->add_option("after", artifact_diff_.after)->type_name("ARTIFACT")->required();
  diff->add_flag("-t,--text", artifact_diff_.text, "Show how the lines of texts differ");
  diff->add_flag("--json", artifact_diff_.json, "Print a JSON document");
  on(diff, [this] { return Command(artifact_diff_); });

  auto* pull = add_verb(
      *group, "pull", "Pull a built artifact from remote artifact caches",
      {{"sluice artifact pull app.bst", "Pull app.bst"},
       {"sluice artifact pull --deps all --artifact-remote https://cache.example.com:11001 app.bst",
        "Pull all that app.bst needs from this cache"}});
  auto* push =
      add_verb(*group, "push", "Push built artifacts to remote artifact caches",
               {{"sluice artifact push app.bst", "Push app.bst to the caches that are configured"},
                {"sluice artifact push --deps all app.bst", "Push all that it needs, too"}});
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
  auto* group =
      add_verb(app_, "store", "Look after the cache of this machine",
               {{"sluice store check", "Read all that is cached, and say what is damaged"},
                {"sluice store check --repair", "Remove what is damaged"}});
  group->require_subcommand(1);
  auto* check =
      add_verb(*group, "check", "Check everything in the cache",
               {{"sluice store check", "Read all that is cached, and say what is damaged"},
                {"sluice store check --repair", "Remove what is damaged"}});
  check->footer("What is damaged or incomplete is told, and the status is 1.\n");
  check->add_flag("--repair", store_check_.repair,
                  "Remove what is damaged, so that it is pulled or built again when it is needed");
  on(check, [this] { return Command(store_check_); });
}

void Parser::add_session() {
  auto* group = add_verb(app_, "session", "Steer sessions that run, and show what has been",
                         {{"sluice session attach", "Watch the newest session that runs"},
                          {"sluice session summary", "Say how this project's newest one went"}});
  group->footer("Without an ID: the newest session that lives, one of this project first.\n");
  group->require_subcommand(1);
  auto* start = add_verb(
      *group, "start",
      "Start a session that commands with --session can use, and that ends by `session stop`",
      {{"sluice session start", "Start a session of this project, and print its ID"},
       {"sluice session start --listen tcp://0.0.0.0:7420",
        "Start one that runners of other machines can join"}});
  listen_options(*start, session_start_.listen);
  on(start, [this] { return Command(session_start_); });
  auto* attach = add_verb(
      *group, "attach",
      "Show a session on this terminal, one that has ended too; Ctrl-C ends the showing only",
      {{"sluice session attach", "Watch the newest session that runs"},
       {"sluice session attach --style json 20261130-101500-4711",
        "Print every record of this session, as JSON"}});
  attach->footer(
      "In place of an ID: the path of observe.json or control.json, of a session on "
      "another machine.\n");
  attach->add_option("id", attach_.id)->type_name("ID");
  Strings styles = style_names();
  styles.emplace_back("json");
  choice(*attach, "--style", attach_.style, styles, "How it is shown (default: as a build is)");
  on(attach, [this] { return Command(attach_); });
  add_past(*group);
  auto* log = add_verb(
      *group, "log", "Show the log of a job while it runs, to its end",
      {{"sluice session log app.bst", "Follow the log of app.bst"},
       {"sluice session log --from 4096 17", "Follow that of job 17, from its 4097th byte on"}});
  log->footer(
      "ELEMENT is an element, whose last job that has started is shown, or the number of a job. In "
      "place of an ID: the path "
      "of observe.json or control.json, of a session on another machine.\n");
  log->add_option("what", session_log_.what)->type_name("ELEMENT")->required();
  log->add_option("id", session_log_.id)->type_name("ID");
  value(*log, "--from", session_log_.from, "BYTE", "Leave out what is before (default: 0)");
  on(log, [this] { return Command(session_log_); });
  auto* explain = add_verb(
      *group, "explain", "Say why elements were built in a session",
      {{"sluice session explain 20261130-141941-823-0f28", "Explain all that it has built"},
       {"sluice session explain 20261130-141941-823-0f28 app.bst", "Explain app.bst"}});
  explain->add_option("id", session_explain_.id)->type_name("ID")->required();
  explain->add_option("element", session_explain_.element)->type_name("ELEMENT");
  explain->add_flag("--json", session_explain_.json, "Print a JSON document");
  on(explain, [this] { return Command(session_explain_); });
  const auto control = [&](const char* verb, const char* help, std::vector<Example> examples) {
    auto* sub = add_verb(*group, verb, help, std::move(examples));
    sub->add_option("id", control_.id)->type_name("ID");
    on(sub, [this, verb] {
      control_.verb = verb;
      return Command(control_);
    });
  };
  control("suspend", "Stop all jobs of a session until it is resumed",
          {{"sluice session suspend", "Stop the jobs of the newest session"},
           {"sluice session suspend control.json", "Stop those of another machine's session"}});
  control(
      "resume", "Let a session go on that was suspended, or all of whose processes were killed",
      {{"sluice session resume", "Let the newest session go on"},
       {"sluice session resume 20261130-101500-4711", "Let this one go on where it was killed"}});
  control("quit", "Let a session finish what runs and start nothing more",
          {{"sluice session quit", "Let the newest session come to an end"},
           {"sluice session quit 20261130-101500-4711", "Let this one do so"}});
  control("kill", "Kill the jobs of a session's run",
          {{"sluice session kill", "Kill what the newest session builds"},
           {"sluice session kill 20261130-101500-4711", "Kill what this one builds"}});
  control("detach", "Let a session outlive the command that started it",
          {{"sluice session detach", "Get the prompt back, and let the newest session go on"},
           {"sluice session detach 20261130-101500-4711", "The same of this session"}});
  control("stop", "End a session: its jobs are killed",
          {{"sluice session stop", "End the newest session"},
           {"sluice session stop 20261130-101500-4711", "End this one"}});
  auto* revoke = add_verb(
      *group, "revoke", "Let a runner, or whoever has joined under that name, in no more",
      {{"sluice session revoke hostb", "Cut off the runner hostb"},
       {"sluice session revoke hostb 20261130-101500-4711", "Cut it off from this session"}});
  revoke->add_option("name", revoke_.name)->type_name("NAME")->required();
  revoke->add_option("id", revoke_.id)->type_name("ID");
  on(revoke, [this] { return Command(revoke_); });
  auto* retry = add_verb(
      *group, "retry", "Try an element again that failed in the run that is under way",
      {{"sluice session retry app.bst", "Build app.bst again"},
       {"sluice session retry app.bst 20261130-101500-4711", "Build it again in this session"}});
  retry->add_option("element", control_.element)->type_name("ELEMENT")->required();
  auto* answer =
      add_verb(*group, "answer", "Answer the prompt of an element that failed",
               {{"sluice session answer 1 retry", "Try again what the first question is about"},
                {"sluice session answer 2 quit", "Let what runs finish, and start nothing more"}});
  answer->add_option("prompt", control_.prompt)
      ->type_name("PROMPT")
      ->required()
      ->check(not_negative());
  answer->add_option("choice", control_.choice)
      ->type_name("continue|quit|terminate|retry")
      ->required()
      ->check(one_of("choice", {"continue", "quit", "terminate", "retry"}));
  auto* builders =
      add_verb(*group, "builders", "Set how many builds a session does at once",
               {{"sluice session builders 8", "Build eight elements at once from now on"},
                {"sluice session builders 1 20261130-101500-4711",
                 "Build one after the other in this session"}});
  auto* fetchers =
      add_verb(*group, "fetchers", "Set how many fetches a session does at once",
               {{"sluice session fetchers 4", "Fetch four sources at once from now on"},
                {"sluice session fetchers 1 20261130-101500-4711",
                 "Fetch one after the other in this session"}});
  for (auto* sub : {builders, fetchers}) {
    sub->add_option("number", control_.number)->type_name("N")->required()->check(job_count());
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
  last_checked(value(app, "--slots", into.slots, "N",
                     "How many builds at once (default: half as many as there are processors)"),
               job_count());
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
  auto* group = add_verb(app_, "runner", "Have other machines build for a session",
                         {{"sluice runner start --ssh hostb,hostc", "Build on two more machines"},
                          {"sluice runner list", "List the runners of the newest session"}});
  group->require_subcommand(1);
  auto* join = add_verb(*group, "join", "Build for the session of a join file, until that ends",
                        {{"sluice runner join runner.json", "Build for that session"},
                         {"sluice runner join --slots 4 --idle 15m runner.json",
                          "Build four elements at once, and leave after 15 idle minutes"}});
  join->footer("FILE is the runner.json of `session start --listen` or `build --listen`.\n");
  join->add_option("file", runner_join_.file)->type_name("FILE")->required();
  runner_options(*join, runner_join_);
  value(*join, "--name", runner_join_.name, "NAME",
        "What the session calls it (default: the machine's name)");
  on(join, [this] { return Command(runner_join_); });
  auto* start =
      add_verb(*group, "start", "Start runners on other machines, and end them with the session",
               {{"sluice runner start --ssh hostb,hostc -- -l builder",
                 "Build on two hosts, as their user builder"},
                {"sluice runner start --slurm 20 -- --partition=build -t 2:00:00",
                 "Build in twenty jobs of Slurm"}});
  start->footer(
      "Runs until the session ends or SIGINT or SIGTERM comes: then the runners finish what they "
      "build, and leave.\nA second signal doesn't wait for that.\n"
      "One of --ssh and --slurm is needed. ENGINE-OPTIONS are ssh's or sbatch's own, after "
      "'--'.\n");
  start->on_unknown_option = "Options of ssh and sbatch come after '--'";
  auto* ssh = once_each(start->add_option("--ssh", runner_start_.ssh,
                                          "A runner on each of these hosts, with commas between "
                                          "them; may be repeated"))
                  ->type_name("HOSTS")
                  ->delimiter(',')
                  ->take_all();
  last_checked(
      value(*start, "--slurm", runner_start_.slurm, "N", "As many jobs of Slurm, a runner each"),
      job_count())
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
  auto* list = add_verb(*group, "list", "List the runners of a session",
                        {{"sluice runner list", "List the runners of the newest session"},
                         {"sluice runner list --json control.json",
                          "Print all that is known of those of another machine's session"}});
  list->add_option("id", runner_list_.id)->type_name("ID");
  list->add_flag("--json", runner_list_.json, "Print a JSON document");
  on(list, [this] { return Command(runner_list_); });
  auto* drain = add_verb(
      *group, "drain", "Have a runner finish what it builds, and leave",
      {{"sluice runner drain hostb", "Give hostb no more to build"},
       {"sluice runner drain hostb control.json", "The same of another machine's session"}});
  auto* stop = add_verb(
      *group, "stop", "Have a runner leave now; what it builds is built again",
      {{"sluice runner stop hostb", "Take what hostb builds away from it"},
       {"sluice runner stop hostb control.json", "The same of another machine's session"}});
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
  auto* report = add_verb(
      app_, "report", "Write a page about a session into one HTML file",
      {{"sluice report", "Report on the newest session of this project"},
       {"sluice report --output build.html 20261130-141941-823-0f28", "Report on this one"}});
  report->footer("Without an ID: the newest session, living or not, one of this project first.\n");
  report->add_option("id", report_.id)->type_name("ID");
  value(*report, "--output", report_.output, "FILE",
        "Where it goes; '-' is standard output (default: sluice-report-ID.html)");
  value(*report, "--compare", report_.compare, "ID", "An earlier session to compare with");
  on(report, [this] { return Command(report_); });
  auto* web =
      add_verb(app_, "web", "Show and steer sessions in a browser of this machine",
               {{"sluice web", "Print the address, and open a browser"},
                {"sluice web --read-only --no-open --port 8080", "Let nobody steer anything"}});
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
  auto* sub = add_verb(app_, "help", "Print usage information",
                       {{"sluice help build", "Print the help of build"},
                        {"sluice help source fetch", "Print that of a verb in a group"}});
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
