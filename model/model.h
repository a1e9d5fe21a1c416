// The data model: what the loader fills, the scheduler alone changes, and every process can read.
// Plain data without sockets, files or behaviour.
//
// A Snapshot is the loader's immutable answer to one load request. It is split so that the
// scheduler touches little of it: an Element holds what scheduling needs, its `body` the rest
// (packed ElementBody), which only `show`, `shell` and the process that runs a job ever unpack.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/node.h"

namespace sluice::model {

// Index into Snapshot::elements. Dependencies precede the elements that need them: an element's
// dependencies all have smaller indices.
using ElementIndex = std::uint32_t;

// A digest of the Remote Execution API. Empty hash: none.
struct Digest {
  std::string hash;       // 64 hexadecimal digits
  std::int64_t size = 0;  // bytes

  bool empty() const { return hash.empty(); }
  auto operator<=>(const Digest&) const = default;
};

// A dependency after expansion: one entry per element depended upon.
struct Dependency {
  ElementIndex element = 0;
  bool build = false;
  bool runtime = false;
  bool strict = false;
};

// The names are BuildStream's. All are 64 hexadecimal digits. `full` is empty while it is not known
// (BuildStream shows it as "?").
struct Keys {
  std::string weak;
  std::string strict;
  std::string full;
};

// Where a source's ref is kept: what tracking changes.
struct RefPlace {
  std::string file;  // absolute
  std::string hash;  // SHA-256 of its content when it was loaded; "": there is none yet
  std::vector<std::string> path;  // of the ref in the file: 'k' and a key, or 'i' and an index
  std::string problem;            // why it can't be changed; "" when it can
};

// A URL as it is written, with its alias, and what there is to fetch from in its place, in the
// order to try.
struct SourceUrl {
  std::string original_url;
  std::vector<std::string> urls;
};

// The plugin of a source or an element whose kind is only somebody's Python (spec/plugins.md);
// `file` is "" for all others.
struct Plugin {
  std::string file;
  // QUESTION, and PROJECT with the aliases that a source's URLs have, both packed. An element's is
  // without what its body has.
  std::string question;
  std::string project;
  // It changes what the sources before it have staged, or fetches what they say.
  bool changes_previous = false;
  bool reads_previous = false;
  // Directories that it has to see: the project's, and those of Python's packages.
  std::vector<std::string> readable;
};

// A source, resolved: no variables, no aliases left where they were translated.
struct Source {
  // "tar", "local"; "workspace" for the one source of an element whose workspace is open: `path`
  // and `local_digest` are set as for local ones, the digest with the times of files.
  std::string kind;
  std::string directory;  // where it is staged below the build root; "" for its top
  // Names the way of doing its work (sources/work_table.cc), of kinds that have several; "" for the
  // kind's own.
  std::string works_as;
  Plugin plugin;
  // Every field of the source's YAML (but kind and directory; `provenance` is the source's own),
  // composed with defaults, variables expanded; URLs as written, with their alias.
  Node config;
  // For kinds that download: the URL with its alias translated, and without.
  std::string url;
  std::string original_url;
  // Where to fetch it from, in the order to try, when that isn't just `url`: mirrors.
  std::vector<std::string> urls;
  // kNull while it has none. As source_kinds.h says of the kind: a text, a list, a map; or a map of
  // what its several keys say.
  Node ref;
  // SHA-256 key of this source, BuildStream's Source._get_brief/unique key.
  std::string key;
  // For local: the digest of its directory and the absolute path. For patch: those of its file.
  std::string path;
  Digest local_digest;
  Provenance provenance;
  // Further URLs that it says something can be fetched from: those of git's submodules.
  std::vector<SourceUrl> more_urls;
  // When they were asked for: where to track it from, as `urls`, and where its ref is, by the
  // kind's keys of refs.
  std::vector<std::string> track_urls;
  std::vector<RefPlace> ref_places;

  // The ref of a kind whose ref is a text; "" while it has none.
  const std::string& ref_text() const { return ref.scalar; }
};

// The sandbox's configuration, `sandbox:` of project and element composed.
struct Sandbox {
  std::string build_os;    // "linux"
  std::string build_arch;  // "x86-64"
  std::uint32_t build_uid = 0;
  std::uint32_t build_gid = 0;
  // Where the remote execution API is to be reached from inside, a part of keys; "": nowhere.
  std::string remote_apis_socket;
  bool remote_apis_update = false;
};

// One entry of `dependencies` with `config`, kept for the kinds that use it (script: location).
struct DependencyConfig {
  ElementIndex element = 0;
  Node config;
};

struct ElementBody {
  StringMap variables;    // resolved
  StringMap environment;  // resolved; "" where the value is no text
  // Values of `environment` that are lists or maps, by name: kNull when there are none, as with all
  // that can be built.
  Node nested_environment;
  std::vector<std::string> environment_nocache;
  Node config;  // resolved, composed of the kind's defaults, project and element
  Node public_data;
  std::string description;  // `description:` of the element
  Sandbox sandbox;
  std::vector<Source> sources;
  std::vector<DependencyConfig> dependency_configs;
  Provenance provenance;
  // The kind that says how it is built, where that isn't its own: of kinds that bring just defaults
  // there are as many as there are plugins. "" for its own.
  std::string builds_as;
  Plugin plugin;
  // What the keys are made of besides those of dependencies, as JSON: kept with the artifact, for
  // `explain` (store/key_inputs.h). "" when nobody asked for it, or there are no keys.
  std::string key_inputs;
};

// The environment with all of its values as they are.
Node environment_node(const ElementBody& body);

// What an element asks for and isn't supported.
struct Obstacle {
  enum class To : std::uint8_t {
    kKey,    // a kind's behaviour isn't known, its own or a source's: no keys, and no build
    kFetch,  // its sources can't be fetched
    kRun,    // its commands can't be run
  };
  To to = To::kKey;  // of the last two, what a store has can be used
  std::string why;  // the same words for all elements that ask for the same: they are counted by it
  std::string at;   // the place in the user's file

  std::string str() const { return at + ": " + why; }
  bool operator==(const Obstacle&) const = default;
};
inline constexpr std::array<std::string_view, 3> kObstacleTexts = {"key", "fetch", "run"};
constexpr std::span<const std::string_view> texts_of(const Obstacle::To*) { return kObstacleTexts; }
constexpr std::optional<Obstacle::To> otherwise(const Obstacle::To*) { return std::nullopt; }

struct Element {
  std::string name;       // "base/zlib.bst"
  std::string full_name;  // "junction.bst:base/zlib.bst"
  std::string kind;
  std::uint32_t project = 0;  // index into Snapshot::projects
  std::vector<Dependency> dependencies;
  Keys keys;
  // The key of all sources together, under which the store keeps what they stage (BuildStream:
  // ElementSources' cache key); "" when it has no sources.
  std::string sources_key;
  bool has_sources = false;
  // False when a source has no ref: the element can't be fetched or built.
  bool sources_resolved = true;
  // All sources are `local`: entered into the store while keys were made.
  bool sources_local = false;
  // Elements whose kind has no build of its own output (stack, junction...) still give an artifact;
  // kinds that never do, like junction and link, have this false.
  bool builds = true;
  std::vector<Obstacle> obstacles;  // mostly none
  // 1 + the index of the element whose obstacle to keys stands in the way, which is this one or one
  // that building it needs; 0 when there is none.
  std::uint32_t unsupported_by = 0;
  // Its build lists what its dependencies are made of, and is told of their sources.
  bool lists_sources = false;
  // Where it is to be built: "linux/x86-64", of its sandbox's build-os and build-arch; and what a
  // runner must offer besides (the variable `runner-labels`, which is in no key).
  std::string platform;
  std::vector<std::string> labels;
  std::string body;  // packed ElementBody

  // The one to that, or nullptr.
  const Obstacle* obstacle(Obstacle::To to) const;
};

// What `shell:` of project.conf says.
struct ShellConfig {
  std::vector<std::string> command;
  StringMap environment;
  std::vector<std::string> environment_inherit;
  struct HostFile {
    std::string path;    // in the sandbox
    std::string source;  // on the host
    bool optional = false;
  };
  std::vector<HostFile> host_files;
};

// A service on another machine that keeps artifacts or sources, as BuildStream's configuration
// names it.
struct Remote {
  std::string url;
  std::string instance_name;
  std::string type = "all";  // index | storage | all
  bool push = false;
  // Absolute paths of files; "" for none.
  std::string server_cert, client_key, client_cert, access_token;
  std::optional<std::int64_t> access_token_reload_interval;  // minutes
  // Seconds; times; milliseconds; seconds.
  std::optional<std::int64_t> keepalive_time, retry_limit, retry_delay, request_timeout;

  bool operator==(const Remote&) const = default;
};

// The servers of a project for artifacts, or for sources: those of the user's configuration, then
// those that the project recommends, after those of the projects that it is a part of.
struct CacheServers {
  std::vector<Remote> configured, recommended;
  bool only_configured = false;  // what projects recommend counts for nothing
};

struct Project {
  std::string name;
  std::string directory;  // absolute
  std::string junction;   // full name of the junction element; "" for the toplevel
  std::vector<std::string> fatal_warnings;  // "*" for all
  ShellConfig shell;
  // What a run's heading shows of it: the provenance of what loaded it ("" for the toplevel), its
  // options with their values, and the plugins that it uses with where they come from ("core
  // plugin").
  std::string loaded_by;
  StringMap options, element_plugins, source_plugins;
  CacheServers artifact_servers, source_servers;
};

// Services that run commands elsewhere (user configuration remote-execution:).
struct RemoteExecution {
  std::optional<Remote> execution, storage, action_cache;
  bool operator==(const RemoteExecution&) const = default;
};

// How plugins in Python are run (`plugins:` of the user configuration, which is Sluice's own).
struct PluginSettings {
  bool enabled = true;          // false: kinds that are only Python are refused by name
  bool sandbox = true;          // in bubblewrap
  std::string python;           // the interpreter; "": python3 of PATH
  std::uint32_t timeout = 120;  // seconds of silence; 0: for ever
  std::uint64_t memory = 0;     // bytes of address space; 0: no limit
};

// User configuration and command line, as far as processes after the loader use it.
struct Settings {
  std::string cachedir;
  std::string sourcedir;  // downloads of sources, cachedir/sources by default
  std::string builddir;   // scratch, cachedir/build by default
  std::string logdir;
  std::string workspacedir;
  std::uint32_t builders = 4;
  std::uint32_t fetchers = 10;
  std::uint32_t pushers = 4;
  std::uint32_t network_retries = 2;
  // seconds in which a server sends nothing (Sluice's own scheduler.network-timeout)
  std::uint32_t network_timeout = 120;
  PluginSettings plugins;
  std::uint32_t max_jobs = 0;
  // the makes of all builds share the processors (Sluice's own scheduler.jobserver)
  bool jobserver = false;
  // Limits of each build (Sluice's own, user configuration build: max-silent-time, max-log-size,
  // max-memory, tmp-size); 0: no limit.
  std::uint32_t max_silent_time = 0;  // seconds without output
  std::uint64_t max_log_size = 0;     // bytes
  std::uint64_t max_memory = 0;       // bytes
  // bytes that /tmp, and /dev/shm, hold; 0: a share of the machine's memory
  std::uint64_t tmp_size = 0;
  std::string on_error = "quit";          // continue | quit | terminate
  std::string cache_buildtrees = "auto";  // always | auto | never
  // default of build --deps: none | all (user configuration build.dependencies)
  std::string build_dependencies = "none";
  bool strict = true;
  std::uint32_t error_lines = 20;
  std::uint32_t message_lines = 20;
  std::uint64_t cache_quota = 0;  // bytes; 0: unlimited
  bool debug = false;
  bool verbose = true;
  bool retry_failed = false;     // user configuration build.retry-failed
  bool pull_buildtrees = false;  // artifacts are pulled with their build trees
  std::uint32_t key_length = 8;  // characters of a key that are shown
  std::string element_format;    // logging.element-format: the default of show --format
  std::string message_format;    // logging.message-format
  std::string config_file;       // the user configuration that was read; "" for none
  RemoteExecution remote_execution;
  std::optional<Remote> storage_service;  // cache.storage-service
};

// The version of a snapshot's bytes (spec/snapshot.md).
inline constexpr std::uint32_t kSnapshotVersion = 6;

struct Snapshot {
  std::uint32_t version = kSnapshotVersion;
  std::string id;                 // SHA-256 of the packed snapshot without this field
  std::vector<Project> projects;  // [0] is the toplevel
  // dependencies first; BuildStream's pipeline order for the targets
  std::vector<Element> elements;
  std::vector<ElementIndex> targets;
  Settings settings;
  std::vector<std::string> warnings;  // that were not fatal, with provenance
};

// The artifact of a dependency as a job needs it.
struct ArtifactRef {
  std::string project;
  std::string element;  // name in its project
  std::string full_name;
  std::string kind;  // for elements that list sources; "" otherwise
  std::string key;   // the key it was cached under (strong)
  std::string weak_key;
  Digest files;               // root directory
  Digest public_data;         // blob
  Digest low_diversity_meta;  // blob; its environment is that of integration commands
  bool build = false;         // how the element depends upon it; both false: through others only
  bool runtime = false;
  // Its index in the snapshot, and those of its direct runtime dependencies, in their order: kinds
  // that stage a part of the dependencies somewhere follow these.
  ElementIndex index = 0;
  std::vector<ElementIndex> runtime_dependencies;
};

}  // namespace sluice::model
