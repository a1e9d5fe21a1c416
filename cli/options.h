// The command line of `sluice` as plain data. Verbs, options and their meanings are those of bst
// 2.8.1; `session` and --json-log are Sluice's own.
//
// Nothing is parsed and then ignored: an option that isn't here is refused with status 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "wire/messages.h"

namespace sluice::cli {

// Exit statuses.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;

struct GlobalOptions {
  std::string config;
  std::string directory;  // as given; "": the current one
  std::vector<std::pair<std::string, std::string>> options;
  model::SettingsOverrides overrides;
  bool no_interactive = false;
  std::optional<bool> colors;
  std::string log_file;
  std::string json_log;  // --json-log, else $SLUICE_JSON_LOG
  std::string style;     // of what is shown (style_names()); "": nothing was said
  bool quiet = false;    // failures and the summary alone
};

// Caches on other machines, as the command line names them: in place of those of the user's
// configuration.
struct RemoteOptions {
  std::vector<model::Remote> artifacts, sources;
  bool ignore_project_artifacts = false, ignore_project_sources = false;
};

// Where a session is to be joined by others (listening.h).
struct ListenOptions {
  std::string given;  // "tcp://HOST:PORT" as it was given; "": nowhere
  std::string host;
  std::uint32_t port = 0;  // 0: the system chooses
  std::string advertise;   // HOST as others reach it; "": as the machine is called
  std::string join_files;  // directory; "": the session's state directory
  bool allow_skew = false;
  std::uint32_t expires_s = 86400;  // after which nobody is enrolled any more; 0: never
};

// What a command that works on elements asks for (work.h).
struct Work {
  model::Action verb = model::Action::kBuild;  // of the run
  std::vector<std::string> targets;
  std::vector<std::string> except;
  // build: what is required, "" as the user's configuration says. Else what is worked on:
  // none | run | build | all | redirect.
  std::string deps;
  bool retry_failed = false;
  // build: what `deps` says, "" being none of the dependencies, is built once more where it is
  // cached, and compared with that.
  bool check = false;
  bool json = false;  // a document of what was checked
  RemoteOptions remotes;
  // pull: nothing to pull from is no error; only what `targets` need is pulled.
  bool if_possible = false;
  std::string session;  // to work in; "": one of its own
  bool detach = false;
  ListenOptions listen;  // of a session of its own
  // The sources of elements as they are in the project, workspaces or not.
  bool ignore_workspaces = false;
  // track: elements of other projects too.
  bool cross_junctions = false;
  // Load as far as that goes, fetch what it takes, and do nothing else.
  bool only_subprojects = false;
};
struct BuildCommand : Work {};
struct SourceFetchCommand : Work {
  SourceFetchCommand() { verb = model::Action::kFetch, deps = "none"; }
};
struct SourceTrackCommand : Work {
  SourceTrackCommand() { verb = model::Action::kTrack, deps = "none"; }
};
struct SourcePushCommand : Work {
  SourcePushCommand() { verb = model::Action::kSourcePush, deps = "none"; }
};
struct ArtifactPullCommand : Work {
  ArtifactPullCommand() { verb = model::Action::kPull, deps = "none"; }
};
struct ArtifactPushCommand : Work {
  ArtifactPushCommand() { verb = model::Action::kPush, deps = "none"; }
};
struct SourceCheckoutCommand {
  RemoteOptions remotes;
  std::string target;
  std::vector<std::string> except;
  std::string deps = "none";
  bool force = false;
  std::string tar;
  std::string compression;
  bool build_scripts = false;
  std::string directory = "source-checkout";
};
struct InitCommand {
  std::string name;
  std::string min_version = "2.8";
  std::string element_path = "elements";
  bool force = false;
  std::string directory;
};
struct WorkspaceOpenCommand {
  RemoteOptions remotes;
  std::vector<std::string> elements;
  bool no_checkout = false;
  bool force = false;
  std::string directory;
};
struct WorkspaceCloseCommand {
  std::vector<std::string> elements;
  bool remove_directory = false;
  bool all = false;
};
struct WorkspaceResetCommand {
  std::vector<std::string> elements;
  bool soft = false;
  bool all = false;
};
struct WorkspaceListCommand {};
struct ShowCommand {
  std::vector<std::string> targets;
  std::vector<std::string> except;
  std::string deps = "all";
  std::string order = "stage";
  std::string format;  // "": as the user's configuration says
  bool json = false;
  std::string fields;  // of the JSON; "": the default
};
struct QueryCommand {
  std::string query;
  std::vector<std::string> universe;  // empty: see docs/commands/query.md
  std::string order = "stage";
  std::string format = "%{name}";
  bool json = false;
  std::string fields = "name,kind,project,junction,key,dependencies";
  bool dot = false;
};
struct WhyCommand {
  std::string element;
  std::vector<std::string> targets;
  std::string deps = "all";
  bool all = false;
  std::uint32_t limit = 10;
  bool json = false;
};
struct SbomCommand {
  std::vector<std::string> targets;
  std::string deps = "all";
  std::string format = "spdx";  // or cyclonedx
  std::string output;           // "" or "-": the standard output
};
struct ExplainCommand {
  std::string element;
  std::string against;  // the beginning of a key; "": the newest artifact
  bool json = false;
};
struct ShellCommand {
  RemoteOptions remotes;
  std::string target;
  std::vector<std::string> command;
  bool build = false;
  bool isolate = false;
  bool use_buildtree = false;
  std::vector<std::pair<std::string, std::string>> mounts;  // on the host, in the sandbox
};
struct CheckoutCommand {
  RemoteOptions remotes;
  std::string target;
  bool force = false;
  std::string deps = "run";
  bool integrate = true;
  bool hardlinks = false;
  std::string tar;
  std::string compression;
  std::string directory;
};
struct ListContentsCommand {
  std::vector<std::string> artifacts;
  bool detailed = false;
};
struct LogCommand {
  std::vector<std::string> artifacts;
  std::string out;
};
struct ArtifactShowCommand {
  RemoteOptions remotes;
  std::vector<std::string> artifacts;
  std::string deps = "none";
};
struct ArtifactDeleteCommand {
  std::vector<std::string> artifacts;
  std::string deps = "none";
};
struct ArtifactDiffCommand {
  std::string before, after;
  bool text = false;
  bool json = false;
};
struct StoreCheckCommand {
  bool repair = false;
};
// A session that has been, or is.
struct PastCommand {
  std::string id;  // or the path of a join file; "": the newest of the project, or of all
  bool json = false;
};
struct SessionListCommand {
  bool json = false;
  bool here = false;    // of this project alone
  std::string project;  // of the project in this directory, or called so; "": of all
  std::vector<std::string> states;
  bool failed = false;        // whose last run didn't succeed
  std::uint32_t since_s = 0;  // began so long ago at most; 0: whenever
  std::uint32_t last = 0;     // the newest of these alone; 0: all
};
struct SessionWhatRanCommand : PastCommand {
  std::vector<std::string> actions, elements;
  std::uint32_t run = 0;
  std::string sort = "start";
};
struct SessionWhatFailedCommand : PastCommand {
  std::uint32_t lines = 20;  // of each log's end
};
struct SessionSummaryCommand : PastCommand {
  std::uint32_t run = 0;  // 0: the last
};
struct SessionReplayCommand : PastCommand {
  std::string style;  // "": as of SessionAttachCommand
  std::string speed = "1";
  std::uint32_t max_pause_s = 0;  // 0: pauses are as long as they were
  std::uint32_t skip_s = 0;
  std::string skip_to;  // an element
};
// The logs of elements, of jobs that run or have run, or of artifacts.
struct ElementLogCommand {
  std::vector<std::string> elements;
  std::string id;  // of the session
  bool follow = false;
};
struct SessionStartCommand {
  ListenOptions listen;
};
struct SessionAttachCommand {
  std::string id;     // or the path of a join file
  std::string style;  // one of style_names(), or json; "": as the global option says
};
struct SessionLogCommand {
  std::string what;  // an element's full name, or a job's number
  std::string id;    // or the path of a join file
  std::uint64_t from = 0;
};
struct SessionExplainCommand {
  std::string id;
  std::string element;  // full name; "": all that were built
  bool json = false;
};
struct ReportCommand {
  std::string id;       // "": the newest of the project, living or not
  std::string compare;  // id of an earlier session; "": none
  std::string output;   // file, or "-"; "": one named by the session
};
struct WebCommand {
  std::string id;          // opened first; "": the list's first
  std::uint16_t port = 0;  // 0: the system chooses
  bool no_open = false, read_only = false;
};
struct SessionRevokeCommand {
  std::string name;
  std::string id;
};
struct RunnerJoinCommand {
  std::string file;
  std::uint32_t slots = 0;  // 0: one for each two processors
  std::vector<std::string> labels;
  std::string cache;                         // directory; "": below the user's cache directory
  std::string name;                          // "": as the machine is called
  std::string address;                       // the session's host, in place of the file's
  std::uint32_t idle_s = 0, lifetime_s = 0;  // 0: for ever
};
struct RunnerStartCommand {
  std::vector<std::string> ssh;  // hosts
  std::uint32_t slurm = 0;       // jobs
  std::string id;                // of the session
  RunnerJoinCommand join;        // what each runner is started with; its file and name are not used
  std::string program = "sluice";           // there
  std::vector<std::string> engine_options;  // of ssh or sbatch
};
struct RunnerListCommand {
  std::string id;
  bool json = false;
};
struct RunnerControlCommand {
  std::string verb;  // drain | stop
  std::string name;
  std::string id;
};
// A program that makes something of records: cli/observer_verbs.cc.
struct ObserverCommand {
  std::string program;                 // sluice-trace | sluice-metrics | sluice-collect
  std::string id;                      // of the session; "": the newest, or all
  bool newest = false;                 // without an id
  std::vector<std::string> arguments;  // of the program
};
struct SessionControlCommand {
  // suspend | resume | quit | kill | stop | detach | retry | answer | builders | fetchers
  std::string verb;
  std::string id;
  std::string element;       // retry
  std::uint64_t prompt = 0;  // answer
  std::uint32_t number = 0;  // builders, fetchers
  std::string choice;
};

using Command = std::variant<
    BuildCommand, SourceFetchCommand, SourceTrackCommand, SourcePushCommand, ArtifactPullCommand,
    ArtifactPushCommand, SourceCheckoutCommand, InitCommand, WorkspaceOpenCommand,
    WorkspaceCloseCommand, WorkspaceResetCommand, WorkspaceListCommand, ArtifactDeleteCommand,
    ShowCommand, QueryCommand, WhyCommand, SbomCommand, ExplainCommand, ShellCommand,
    CheckoutCommand, ListContentsCommand, LogCommand, ArtifactShowCommand, ArtifactDiffCommand,
    StoreCheckCommand, SessionListCommand, SessionStartCommand, SessionWhatRanCommand,
    SessionWhatFailedCommand, SessionSummaryCommand, SessionReplayCommand, ElementLogCommand,
    SessionAttachCommand, SessionLogCommand, SessionExplainCommand, ReportCommand, WebCommand,
    SessionControlCommand, SessionRevokeCommand, RunnerJoinCommand, RunnerStartCommand,
    RunnerListCommand, RunnerControlCommand, ObserverCommand>;

// Either a command, or text to print and the status to end with (help, version, usage errors).
struct CommandLine {
  GlobalOptions global;
  std::optional<Command> command;
  std::string verb;  // "build", "artifact checkout"
  std::string output;
  int status = kSuccess;  // output goes to standard error when it isn't 0
};

// What may stand on the command line, with what is said of it: help, completion and suggestions are
// made of it.
struct ValueShape {
  enum class What : std::uint8_t {
    kOther,
    kChoice,
    kPath,
    kDirectory,
    kElement,
    kArtifact,
    kSession,
    kCommand
  } what = What::kOther;
  std::vector<std::string> choices;
};
struct OptionShape {
  std::vector<std::string> names;  // with their dashes
  std::size_t values = 0;          // how many follow; 0: a flag
  bool repeated = false;           // all that are given count, not only the last
  ValueShape value;                // of the first
  std::string type;                // "FILE"; "" of a flag
  std::string description;
};
struct ArgumentShape {
  std::string name;
  bool required = false;
  bool many = false;
  ValueShape value;  // an artifact: or an element
};
struct Example {
  std::string command;  // "sluice build app.bst"
  std::string what;     // what that does
};
struct CommandShape {
  std::string name;
  std::string path;  // "sluice source fetch"
  std::string description;
  // What else is to be said. Each line is wrapped by itself, below its indentation; one that has a
  // gap of two spaces in it is a row of a table, whose second column is wrapped.
  std::string details;
  std::vector<Example> examples;
  bool has_help = true;              // --help is known
  std::vector<OptionShape> options;  // but --help
  std::vector<ArgumentShape> arguments;
  std::vector<CommandShape> commands;
};
CommandShape command_shape();

// The styles that --style and $SLUICE_STYLE may name.
const std::vector<std::string>& style_names();

CommandLine parse_command_line(const std::vector<std::string>& arguments);

// The working directory; "." when it is gone.
std::string current_directory();
// What the global options say to the loader. `directory` and `config` become absolute.
wire::LoadArguments load_arguments(const GlobalOptions& global);

}  // namespace sluice::cli
