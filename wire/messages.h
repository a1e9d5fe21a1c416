// Every message of every link, in one place. The specifications in spec/ give their meaning; the
// names here are the field names on the wire.
//
// A message on a link is two frames or more: its name ("HELLO"), then its body, a MessagePack map.
// Times are nanoseconds; `elapsed` leaves suspended time out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/actions.h"
#include "model/model.h"
#include "model/settings_overrides.h"
#include "wire/codec.h"

namespace sluice::wire {

// ---- All links -------------------------------------------------------------

struct ErrorBody {
  std::string domain;
  std::string reason;
  std::string message;
  std::string detail;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string subject;       // whose place that is: "tar source"
  std::string introduction;  // "Error loading project"

  static ErrorBody from(const Error& error);
  Error to_error() const;
};
template <typename C>
void fields(C& c, ErrorBody& m) {
  c("domain", m.domain);
  c("reason", m.reason);
  c("message", m.message);
  c.optional("detail", m.detail);
  c.optional("file", m.file);
  c.optional("line", m.line);
  c.optional("column", m.column);
  c.optional("subject", m.subject);
  c.optional("introduction", m.introduction);
}

// The first message of either side on a link, and again after each reconnect.
struct Hello {
  static constexpr std::string_view kName = "HELLO";
  std::string protocol;     // "records/1", "control/1", "jobs/1"
  std::string build;        // version of the sender's program
  std::string role;         // client, renderer, collector, scheduler, loader, runner
  std::string instance;     // unique in the session: "runner-1", "cli-4711"
  std::uint64_t epoch = 0;  // larger at each start of the same instance
  bool service = false;     // control: answers the requests for the service named as its role
};
template <typename C>
void fields(C& c, Hello& m) {
  c("protocol", m.protocol);
  c.optional("build", m.build);
  c("role", m.role);
  c("instance", m.instance);
  c.optional("epoch", m.epoch);
  c.optional("service", m.service);
}

struct Welcome {
  static constexpr std::string_view kName = "WELCOME";
  std::string session;
  std::uint64_t epoch = 0;  // the answering process's
  // records: the last sequence number held of this instance and epoch
  std::uint64_t acknowledged = 0;
  std::uint64_t first_cursor = 1;  // records: what NEXT can ask for
  std::uint64_t end_cursor = 1;    // records: the cursor that the next record will get
  std::uint32_t heartbeat_ms = 1000;
  std::uint32_t lease_ms = 10000;  // jobs
  // jobs: of the HELLO that is answered
  std::uint64_t peer_epoch = 0;
  std::uint64_t connection = 0;
};
template <typename C>
void fields(C& c, Welcome& m) {
  c("session", m.session);
  c.optional("epoch", m.epoch);
  c.optional("acknowledged", m.acknowledged);
  c.optional("first_cursor", m.first_cursor);
  c.optional("end_cursor", m.end_cursor);
  c.optional("heartbeat_ms", m.heartbeat_ms);
  c.optional("lease_ms", m.lease_ms);
  c.optional("peer_epoch", m.peer_epoch);
  c.optional("connection", m.connection);
}

// Instead of WELCOME: the peer is not let in (wrong protocol, wrong role). To anything else: this
// is not taken. Reason kNoHello: say HELLO first.
inline constexpr std::string_view kNoHello = "no-hello";
struct Refused {
  static constexpr std::string_view kName = "REFUSED";
  std::string reason;
};
template <typename C>
void fields(C& c, Refused& m) {
  c("reason", m.reason);
}

// Instead of WELCOME, or at any time: the session is ending; nothing more will be taken.
struct Ending {
  static constexpr std::string_view kName = "ENDING";
  std::string session;
};
template <typename C>
void fields(C& c, Ending& m) {
  c("session", m.session);
}

struct Heartbeat {
  static constexpr std::string_view kName = "HEARTBEAT";
  std::uint64_t count = 0;
};
template <typename C>
void fields(C& c, Heartbeat& m) {
  c.optional("count", m.count);
}

// ---- Records (spec/records.md) ---------------------------------------------

// Publisher -> broker. `records` are packed events (events.h) with the sequence numbers first,
// first + 1, ...; `types` their topics' names, one for each.
template <typename Text, typename Bytes>
struct BasicAppend {
  static constexpr std::string_view kName = "APPEND";
  std::uint64_t first = 0;
  std::vector<Text> types;
  std::vector<Bytes> records;
  // Of a runner from elsewhere: the ticket of each record's attempt (Job::ticket).
  std::vector<Text> tickets;
};
template <typename C, typename Text, typename Bytes>
void fields(C& c, BasicAppend<Text, Bytes>& m) {
  c("first", m.first);
  c("types", m.types);
  c("records", m.records);
  c.optional("tickets", m.tickets);
}
using Append = BasicAppend<std::string, Blob>;
using AppendView = BasicAppend<std::string_view, BlobView>;

// Broker -> publisher: everything up to and with `upto` is in the log.
struct Ack {
  static constexpr std::string_view kName = "ACK";
  std::uint64_t upto = 0;
};
template <typename C>
void fields(C& c, Ack& m) {
  c("upto", m.upto);
}

// Broker -> publisher: an APPEND left a gap; resend from `from`.
struct Resend {
  static constexpr std::string_view kName = "RESEND";
  std::uint64_t from = 0;
};
template <typename C>
void fields(C& c, Resend& m) {
  c("from", m.from);
}

// Broker -> publisher: the log can't be written (disk full).
struct Nack {
  static constexpr std::string_view kName = "NACK";
  ErrorBody error;
};
template <typename C>
void fields(C& c, Nack& m) {
  c("error", m.error);
}

// Reader -> broker: the records from `cursor` on, at most `max`; when there is none yet, wait for
// one up to `wait_ms`.
struct Next {
  static constexpr std::string_view kName = "NEXT";
  std::uint64_t cursor = 1;
  std::uint32_t max = 256;
  std::uint32_t wait_ms = 0;
};
template <typename C>
void fields(C& c, Next& m) {
  c("cursor", m.cursor);
  c.optional("max", m.max);
  c.optional("wait_ms", m.wait_ms);
}

// Broker -> reader. `records` are packed maps, each with its `cursor`; `next` is what to ask for
// then. `ended`: the session has ended and `next` is past its last record.
template <typename Bytes>
struct BasicBatch {
  static constexpr std::string_view kName = "BATCH";
  std::vector<Bytes> records;
  std::uint64_t next = 1;
  bool ended = false;
};
template <typename C, typename Bytes>
void fields(C& c, BasicBatch<Bytes>& m) {
  c("records", m.records);
  c("next", m.next);
  c.optional("ended", m.ended);
}
using Batch = BasicBatch<Blob>;
using BatchView = BasicBatch<BlobView>;

// ---- Control (spec/control.md) ---------------------------------------------

// Client -> broker -> service. `id` is unique and the same when asked again.
struct Request {
  static constexpr std::string_view kName = "REQUEST";
  std::string id;
  std::string service;  // scheduler, loader, broker
  std::string command;
  Packed arguments;  // a map; its shape belongs to the command
  std::uint32_t timeout_ms = 10000;
  std::string source;  // stamped by the broker: the client's instance
  std::string role;    // stamped by the broker: observe, control, run
};
template <typename C>
void fields(C& c, Request& m) {
  c("id", m.id);
  c("service", m.service);
  c("command", m.command);
  c.optional("arguments", m.arguments);
  c.optional("timeout_ms", m.timeout_ms);
  c.optional("source", m.source);
  c.optional("role", m.role);
}

// Service -> broker -> client.
struct Reply {
  static constexpr std::string_view kName = "REPLY";
  std::string id;
  // done | accepted (its completion is a record) | refused (see error) | unknown (no answer in
  // time: it may have been carried out)
  std::string status;
  Packed result;
  std::optional<ErrorBody> error;
  std::string source;  // as in the request; how the broker finds the client
};
template <typename C>
void fields(C& c, Reply& m) {
  c("id", m.id);
  c("status", m.status);
  c.optional("result", m.result);
  c.optional("error", m.error);
  c.optional("source", m.source);
}

// `peers` of the broker.
struct Peer {
  std::string instance;
  std::string role;
  std::string link;  // records | control
  std::uint64_t epoch = 0;
  std::uint64_t cursor = 0;  // readers: how far they have read
  std::uint32_t silent = 0;  // seconds since it was last heard
  bool service = false;
};
template <typename C>
void fields(C& c, Peer& m) {
  c("instance", m.instance);
  c("role", m.role);
  c("link", m.link);
  c.optional("epoch", m.epoch);
  c.optional("cursor", m.cursor);
  c.optional("silent", m.silent);
  c.optional("service", m.service);
}
struct Peers {
  std::vector<Peer> peers;
};
template <typename C>
void fields(C& c, Peers& m) {
  c("peers", m.peers);
}

// `enrol` of the broker: a key pair's public half comes to be let in, with the role of the key that
// asks (access.h). `name`: what it wants to be called.
struct EnrolArguments {
  std::string public_key;   // Z85
  std::string certificate;  // of its TLS key: SHA-256 of the DER form, hexadecimal; "": it has none
  std::string name, host;
};
template <typename C>
void fields(C& c, EnrolArguments& m) {
  c("public_key", m.public_key);
  c.optional("certificate", m.certificate);
  c("name", m.name);
  c.optional("host", m.host);
}
struct Enrolled {
  std::string name;  // which nobody else in the session has
};
template <typename C>
void fields(C& c, Enrolled& m) {
  c("name", m.name);
}
// `revoke` of the broker: whoever was enrolled under that name is let in no more, and cut off.
struct RevokeArguments {
  std::string name;
};
template <typename C>
void fields(C& c, RevokeArguments& m) {
  c("name", m.name);
}

// `load` of the loader, and what sluice-loader reads from its standard input in one-shot mode:
// LoadArguments. What is loaded:
struct LoadInput {
  std::string directory;
  std::vector<std::string> targets;
  std::vector<std::string> except;
  // The elements that are selected: none | run | build | all | redirect (the targets, but of those
  // that have none of their own the elements whose sources are meant).
  std::string deps;
  std::vector<std::pair<std::string, std::string>> options;
  std::string config;             // --config; "" for the default places
  bool ignore_junctions = false;  // the default targets are those that can be built
  // elements have the sources that they have in the project, workspaces or not
  bool ignore_workspaces = false;
  // Names of artifacts, "PROJECT/ELEMENT/KEY", and patterns of names that are cached. Without
  // `targets` nothing else is meant, and no project is needed. The build dependencies (deps) of one
  // are known when it is cached: `needs` of the answer has those to be pulled first, unless that
  // was tried.
  std::vector<std::string> artifacts;
  bool artifacts_tried = false;
};
template <typename C>
void fields(C& c, LoadInput& m) {
  c("directory", m.directory);
  c("targets", m.targets);
  c.optional("except", m.except);
  c.optional("deps", m.deps);
  c.optional("options", m.options);
  c.optional("config", m.config);
  c.optional("ignore_junctions", m.ignore_junctions);
  c.optional("ignore_workspaces", m.ignore_workspaces);
  c.optional("artifacts", m.artifacts);
  c.optional("artifacts_tried", m.artifacts_tried);
}

// What the answer to a load is for, and what it has.
struct LoadWanted {
  // No elements, only the errors of the configuration and of the project, if there is one: "first",
  // those that every command finds; "complete", those too that only commands about elements and
  // artifacts find. "": elements.
  std::string project_only;
  // junctions that must be fetched first are answered as `needs`; else as an error
  bool accept_needs = false;
  bool import_sources = false;  // local sources enter the store; else they are only hashed
  // The elements are to be built: where that isn't strict, a cached failure of other dependencies
  // than the present ones is none (nor is any with `retry_failed`), and its element gets the key of
  // another build.
  bool builds = false;
  bool retry_failed = false;
  // For tracking: sources have the places of their refs; of the selected elements only those stay
  // that can be tracked, which are of the targets' projects unless `cross_junctions`.
  bool track = false;
  bool cross_junctions = false;
  bool bodies = true;                  // the snapshot has bodies
  std::vector<std::string> bodies_of;  // full names; not empty: only these have bodies
  bool key_inputs = false;             // bodies have these too
  std::string snapshot_file;           // where to write the snapshot; "": in the reply
  bool quiet = false;                  // no records of how loading goes, but of its error
};
template <typename C>
void fields(C& c, LoadWanted& m) {
  c.optional("project_only", m.project_only);
  c.optional("accept_needs", m.accept_needs);
  c.optional("import_sources", m.import_sources);
  c.optional("builds", m.builds);
  c.optional("retry_failed", m.retry_failed);
  c.optional("track", m.track);
  c.optional("cross_junctions", m.cross_junctions);
  c.optional("bodies", m.bodies);
  c.optional("bodies_of", m.bodies_of);
  c.optional("key_inputs", m.key_inputs);
  c.optional("snapshot_file", m.snapshot_file);
  c.optional("quiet", m.quiet);
}

struct LoadArguments {
  LoadInput what;
  model::SettingsOverrides overrides;
  LoadWanted wanted;
};
// One map.
template <typename C>
void fields(C& c, LoadArguments& m) {
  fields(c, m.what);
  fields(c, m.overrides);
  fields(c, m.wanted);
}

// `reload` of the loader: the project as it is now, loaded as that snapshot was, without records of
// it, without places of refs, and into a file beside it. Answered as `load` is; junctions whose
// projects are missing are an error.
struct ReloadArguments {
  std::string snapshot_file;  // that the loader wrote
  std::string snapshot_id;
};
template <typename C>
void fields(C& c, ReloadArguments& m) {
  c("snapshot_file", m.snapshot_file);
  c("snapshot_id", m.snapshot_id);
}

// The caches on other machines that are configured for a project.
struct ProjectServers {
  model::CacheServers artifacts, sources;
};
template <typename C>
void fields(C& c, ProjectServers& m) {
  c("artifacts", m.artifacts);
  c("sources", m.sources);
}
struct LoadResult {
  std::string snapshot_file;
  Blob snapshot;  // packed model::Snapshot (snapshot.h) when no file was asked for
  std::string id;
  std::uint32_t elements = 0;
  std::vector<std::uint32_t> selection;  // what targets, deps and except select, in pipeline order
  std::vector<std::string> warnings;
  Blob settings;  // packed model::Settings, for who draws before it reads the snapshot
  // The servers of each project of the snapshot.
  std::vector<ProjectServers> servers;
  // Not empty: junctions, by full name, whose projects must be fetched before more can be loaded,
  // or artifacts that must be pulled. Snapshot and selection are then of these alone: fetch or pull
  // them and ask again.
  std::vector<std::string> needs;
  std::optional<ErrorBody> error;  // set: nothing else is
};
template <typename C>
void fields(C& c, LoadResult& m) {
  c.optional("snapshot_file", m.snapshot_file);
  c.optional("snapshot", m.snapshot);
  c.optional("id", m.id);
  c.optional("elements", m.elements);
  c.optional("selection", m.selection);
  c.optional("warnings", m.warnings);
  c.optional("settings", m.settings);
  c.optional("servers", m.servers);
  c.optional("needs", m.needs);
  c.optional("error", m.error);
}

// `write-refs` of the loader: new refs into the project's files (loader/ref_writer.h). Asking twice
// does no harm.
struct RefEdit {
  std::string file;               // absolute
  std::string hash;               // SHA-256 of the file as it must be; "": there is none yet
  std::vector<std::string> path;  // 'k' and a key, or 'i' and an index: {"ksources", "i0", "kref"}
  model::Node ref;                // kNull: it is taken away
};
template <typename C>
void fields(C& c, RefEdit& m) {
  c("file", m.file);
  c("hash", m.hash);
  c("path", m.path);
  c.optional("ref", m.ref);
}
struct WriteRefs {
  std::vector<RefEdit> edits;
};
template <typename C>
void fields(C& c, WriteRefs& m) {
  c("edits", m.edits);
}
struct RefFile {
  std::string file;
  std::string before, after;  // SHA-256; `before` "": it was made
};
template <typename C>
void fields(C& c, RefFile& m) {
  c("file", m.file);
  c("before", m.before);
  c("after", m.after);
}
struct WriteRefsResult {
  std::vector<RefFile> files;      // that have their refs now
  std::optional<ErrorBody> error;  // of the file that ended it
};
template <typename C>
void fields(C& c, WriteRefsResult& m) {
  c("files", m.files);
  c.optional("error", m.error);
}

// The remotes that a run uses for a project.
struct ProjectRemotes {
  std::vector<model::Remote> artifacts, sources;
};
template <typename C>
void fields(C& c, ProjectRemotes& m) {
  c.optional("artifacts", m.artifacts);
  c.optional("sources", m.sources);
}
// `run` of the scheduler: start a run over a snapshot. Answered "accepted" with RunAccepted.
struct RunArguments {
  model::Action verb = model::Action::kBuild;
  std::string snapshot_file;
  std::vector<std::uint32_t> selection;
  // build: "none" (targets and what they need), "all", "build", "run"...: bst's build --deps
  std::string deps = "none";
  std::string on_error;  // "": the snapshot's settings
  bool retry_failed = false;
  std::vector<ProjectRemotes> remotes;  // by project of the snapshot; empty: none has any
  std::vector<std::string> warnings;    // for the run's heading
  bool prompt = false;                  // a failed element asks; `on_error` counts for nothing then
};
template <typename C>
void fields(C& c, RunArguments& m) {
  c("verb", m.verb);
  c("snapshot_file", m.snapshot_file);
  c.optional("selection", m.selection);
  c.optional("deps", m.deps);
  c.optional("on_error", m.on_error);
  c.optional("retry_failed", m.retry_failed);
  c.optional("remotes", m.remotes);
  c.optional("warnings", m.warnings);
  c.optional("prompt", m.prompt);
}

struct RunAccepted {
  std::uint32_t run = 0;
};
template <typename C>
void fields(C& c, RunAccepted& m) {
  c("run", m.run);
}

// Commands of the scheduler without arguments of their own: suspend, resume, quit (finish what
// runs, start nothing), kill (now), end (the session), status. `retry`: RetryArguments. `answer`:
// AnswerArguments, refused with reason `answered` when somebody was faster. `status` is answered
// with a `status/` event.
struct RetryArguments {
  std::string element;
};
template <typename C>
void fields(C& c, RetryArguments& m) {
  c("element", m.element);
}

// `limits`: how many jobs at once, from now on and in later runs; what isn't named stays as it is.
struct LimitsArguments {
  std::optional<std::uint32_t> builders, fetchers;  // 1 to kMostJobs
};
inline constexpr std::uint32_t kMostJobs = 1024;
template <typename C>
void fields(C& c, LimitsArguments& m) {
  c.optional("builders", m.builders);
  c.optional("fetchers", m.fetchers);
}

struct AnswerArguments {
  std::uint64_t prompt = 0;
  std::string choice;  // one of the prompt's
};
template <typename C>
void fields(C& c, AnswerArguments& m) {
  c("prompt", m.prompt);
  c("choice", m.choice);
}

// ---- Jobs (spec/jobs.md) -----------------------------------------------------

struct JobId {
  std::uint64_t job = 0;
  std::uint32_t attempt = 0;
  auto operator<=>(const JobId&) const = default;
};
template <typename C>
void fields(C& c, JobId& m) {
  c("job", m.job);
  c("attempt", m.attempt);
}

// Runner -> scheduler, with Hello's fields: what it can do and what it has in hand.
struct RunnerHello {
  static constexpr std::string_view kName = "HELLO";
  Hello hello;
  std::string host;
  std::uint32_t slots = 0;
  std::vector<JobId> running;    // started and not ended
  std::vector<JobId> waiting;    // given, not started
  std::vector<JobId> outbox;     // ended; their results follow this HELLO
  std::uint64_t connection = 0;  // how often the runner was connected; from 1
  // It has a store of its own: it is told what to fetch, and uploads what it made.
  bool remote = false;
  std::string machine;                // two runners of one machine say the same
  std::string platform;               // "linux/x86-64"
  std::vector<std::string> emulates;  // further platforms, by an emulator
  std::vector<std::string> labels;
  std::uint32_t processors = 0;
  // What shapes a build besides its inputs (spec/jobs.md, J76): of two runners with another one the
  // artifacts may differ.
  std::string fingerprint;
  bool draining = false;          // it takes no more jobs
  std::uint32_t remaining_s = 0;  // until its lifetime is over; 0: it has none
};
template <typename C>
void fields(C& c, RunnerHello& m) {
  c("hello", m.hello);
  c("host", m.host);
  c("slots", m.slots);
  c.optional("running", m.running);
  c.optional("waiting", m.waiting);
  c.optional("outbox", m.outbox);
  c.optional("connection", m.connection);
  c.optional("remote", m.remote);
  c.optional("machine", m.machine);
  c.optional("platform", m.platform);
  c.optional("emulates", m.emulates);
  c.optional("labels", m.labels);
  c.optional("processors", m.processors);
  c.optional("fingerprint", m.fingerprint);
  c.optional("draining", m.draining);
  c.optional("remaining_s", m.remaining_s);
}

// What a job needs of the session's store, to a runner that has a store of its own: a name that the
// job looks up there, and the blob that stands for it. What that refers to is needed too: of an
// artifact its files, public data and metadata; of sources and trees everything below.
struct JobInput {
  std::string kind;      // artifact | source | tree | blob
  std::string ref;       // below the store's directory: "artifacts/refs/PROJECT/ELEMENT/KEY",
                         // "elementsources/KEY", "source_protos/KIND/KEY"; "" of trees and blobs
  model::Digest digest;  // of the message under that name, the tree's root, or the blob
};
template <typename C>
void fields(C& c, JobInput& m) {
  c("kind", m.kind);
  c.optional("ref", m.ref);
  c("digest", m.digest);
}

// One job, with all that is needed to do it. The loader's and the model's knowledge is in `element`
// (packed JobElement): the scheduler splices, it does not repack.
struct Job {
  JobId id;
  model::Action action = model::Action::kBuild;  // of a brief one there is nothing else but the id
  // Packed map of the sections session, run, element, job, queues as of dispatch: the context of
  // the messages that the job sends.
  Packed context;
  Packed element;                                // packed JobElement
  std::vector<model::ArtifactRef> dependencies;  // what is staged, in staging order
  // build of an element that lists sources: the packed SourceList of each of `dependencies`
  std::vector<Blob> dependency_sources;
  model::Digest sources;  // build: root of the staged sources; empty: stage from `element`
  model::Keys keys;
  // relative to the log directory: project/element/KEY-action.DATE-TIME.log
  std::string log_file;
  Blob settings;  // packed model::Settings
  // push: an artifact whose build tree isn't here is none to push, and no failure
  bool skip_incomplete = false;
  // pull, push: caches of artifacts; fetch, source-push: of sources.
  std::vector<model::Remote> remotes;
  std::vector<JobInput> inputs;  // to a runner that has a store of its own
  // To a runner from elsewhere: shows the broker that it was given this attempt (access.h).
  std::string ticket;
};

// What of the snapshot a job works on.
struct JobElement {
  std::string name;
  std::string full_name;
  std::string kind;
  std::string project;  // name
  std::string project_directory;
  std::string sources_key;
  Blob body;                                // packed model::ElementBody
  std::vector<std::string> fatal_warnings;  // its project's; "*" for all
};
template <typename C>
void fields(C& c, JobElement& m) {
  c("name", m.name);
  c("full_name", m.full_name);
  c("kind", m.kind);
  c("project", m.project);
  c("project_directory", m.project_directory);
  c.optional("sources_key", m.sources_key);
  c("body", m.body);
  c.optional("fatal_warnings", m.fatal_warnings);
}

// The sources of an element, which is a part of its packed ElementBody.
struct SourceList {
  std::vector<model::Source> sources;
};

// Scheduler -> runner.
struct JobBatch {
  static constexpr std::string_view kName = "JOB";
  std::vector<Job> jobs;
};

// Runner -> scheduler: these run now.
struct StartedJob {
  JobId id;
  std::uint32_t slot = 0;
  std::int64_t time = 0;  // wall clock, ns
};
template <typename C>
void fields(C& c, StartedJob& m) {
  c("id", m.id);
  c("slot", m.slot);
  c("time", m.time);
}
struct Started {
  static constexpr std::string_view kName = "STARTED";
  std::vector<StartedJob> jobs;
};
template <typename C>
void fields(C& c, Started& m) {
  c("jobs", m.jobs);
}

// What tracking found, for one key of a source. kNull: there was none, or there is none any more.
struct NewRef {
  model::RefPlace place;
  model::Node before;
  model::Node ref;
};
template <typename C>
void fields(C& c, NewRef& m) {
  c("place", m.place);
  c.optional("before", m.before);
  c.optional("ref", m.ref);
}

// How an attempt ended.
struct JobResult {
  JobId id;
  model::Outcome status = model::Outcome::kSuccess;
  std::optional<ErrorBody> error;
  std::int64_t elapsed = 0;  // ns, suspended time left out
  std::string log_file;
  // build, pull: the artifact as it is in the store now. One that was pulled and is of a build that
  // failed: `error` says how.
  std::optional<model::ArtifactRef> artifact;
  model::Digest sources;     // fetch: root of the staged sources
  std::vector<NewRef> refs;  // track: of sources whose ref is another now
  // Of a runner that has a store of its own, which has uploaded these: the Artifact message, and
  // the whole log, of which `log_tail` has the last lines.
  model::Digest artifact_message;
  model::Digest log;
  std::string log_tail;
  std::uint64_t fetched = 0, uploaded = 0;  // bytes that travelled for it
};
template <typename C>
void fields(C& c, JobResult& m) {
  c("id", m.id);
  c("status", m.status);
  c.optional("error", m.error);
  c.optional("elapsed", m.elapsed);
  c.optional("log_file", m.log_file);
  c.optional("artifact", m.artifact);
  c.optional("sources", m.sources);
  c.optional("refs", m.refs);
  c.optional("artifact_message", m.artifact_message);
  c.optional("log", m.log);
  c.optional("log_tail", m.log_tail);
  c.optional("fetched", m.fetched);
  c.optional("uploaded", m.uploaded);
}
struct Results {
  static constexpr std::string_view kName = "RESULT";
  std::vector<JobResult> results;
};
template <typename C>
void fields(C& c, Results& m) {
  c("results", m.results);
}

// Scheduler -> runner: applied and journalled; the outbox may forget them.
struct ResultAck {
  static constexpr std::string_view kName = "RESULT-ACK";
  std::vector<JobId> jobs;
};
template <typename C>
void fields(C& c, ResultAck& m) {
  c("jobs", m.jobs);
}

// Scheduler -> runner: kill these (fenced, or a user's command): TERM, `grace_ms`, KILL.
struct Cancel {
  static constexpr std::string_view kName = "CANCEL";
  std::vector<JobId> jobs;
  std::uint32_t grace_ms = 5000;
};
template <typename C>
void fields(C& c, Cancel& m) {
  c("jobs", m.jobs);
  c.optional("grace_ms", m.grace_ms);
}

// Runner -> scheduler, at WELCOME's interval: these still run, the results of those are in its
// outbox (the leases of both are renewed).
struct RunnerBeat {
  static constexpr std::string_view kName = "HEARTBEAT";
  std::vector<JobId> running;
  bool suspended = false;
  std::vector<JobId> outbox;
};
template <typename C>
void fields(C& c, RunnerBeat& m) {
  c("running", m.running);
  c.optional("suspended", m.suspended);
  c.optional("outbox", m.outbox);
}

// Scheduler -> runner, and back when it is done with all jobs.
struct Suspend {
  static constexpr std::string_view kName = "SUSPEND";
};
template <typename C>
void fields(C&, Suspend&) {}
struct Resume {
  static constexpr std::string_view kName = "RESUME";
};
template <typename C>
void fields(C&, Resume&) {}

// Scheduler -> runner: at most so many jobs at once, whatever the settings of jobs say (0: these).
// Back: `slots`, which the runner offers from now on.
struct JobLimits {
  static constexpr std::string_view kName = "LIMITS";
  std::uint32_t builders = 0, fetchers = 0;
  std::uint32_t slots = 0;
};
template <typename C>
void fields(C& c, JobLimits& m) {
  c.optional("builders", m.builders);
  c.optional("fetchers", m.fetchers);
  c.optional("slots", m.slots);
}

// Runner -> scheduler: it takes no more jobs, and gives back those that haven't started. Scheduler
// -> runner: it is to do so, and to leave when what runs has ended; with `now`, to end that too.
struct Drain {
  static constexpr std::string_view kName = "DRAIN";
  std::string why;
  bool now = false;
  std::vector<JobId> returned;
};
template <typename C>
void fields(C& c, Drain& m) {
  c.optional("why", m.why);
  c.optional("now", m.now);
  c.optional("returned", m.returned);
}

// Runner -> scheduler: it leaves, with nothing in hand.
struct Goodbye {
  static constexpr std::string_view kName = "GOODBYE";
  std::string why;
};
template <typename C>
void fields(C& c, Goodbye& m) {
  c.optional("why", m.why);
}

// `runners` of the scheduler.
struct RunnerInfo {
  std::string name, host, machine, platform;
  std::vector<std::string> emulates, labels;
  std::uint32_t slots = 0, processors = 0, running = 0, waiting = 0;
  bool remote = false, draining = false;
  std::string quarantined;  // why it gets no jobs; "" when it isn't
  std::uint64_t done = 0, failed = 0, fetched = 0, uploaded = 0;
  std::uint32_t silent = 0;       // seconds since it was last heard
  std::uint32_t remaining_s = 0;  // until its lifetime is over; 0: it has none
};
template <typename C>
void fields(C& c, RunnerInfo& m) {
  c("name", m.name);
  c("host", m.host);
  c.optional("machine", m.machine);
  c.optional("platform", m.platform);
  c.optional("emulates", m.emulates);
  c.optional("labels", m.labels);
  c("slots", m.slots);
  c.optional("processors", m.processors);
  c.optional("running", m.running);
  c.optional("waiting", m.waiting);
  c.optional("remote", m.remote);
  c.optional("draining", m.draining);
  c.optional("quarantined", m.quarantined);
  c.optional("done", m.done);
  c.optional("failed", m.failed);
  c.optional("fetched", m.fetched);
  c.optional("uploaded", m.uploaded);
  c.optional("silent", m.silent);
  c.optional("remaining_s", m.remaining_s);
}
struct RunnerList {
  std::vector<RunnerInfo> runners;
};
template <typename C>
void fields(C& c, RunnerList& m) {
  c("runners", m.runners);
}
// `drain-runner` and `stop-runner` of the scheduler.
struct RunnerArguments {
  std::string name;
};
template <typename C>
void fields(C& c, RunnerArguments& m) {
  c("name", m.name);
}

// ---- The model, as it travels ------------------------------------------------

}  // namespace sluice::wire

// The mappings of the model's types lie in their namespace, for argument-dependent lookup.
#include "wire/model_fields.h"

namespace sluice::wire {

template <typename C>
void fields(C& c, Job& m) {
  c("id", m.id);
  c("action", m.action);
  c("context", m.context);
  c("element", m.element);
  c.optional("dependencies", m.dependencies);
  c.optional("dependency_sources", m.dependency_sources);
  c.optional("sources", m.sources);
  c("keys", m.keys);
  c("log_file", m.log_file);
  c("settings", m.settings);
  c.optional("skip_incomplete", m.skip_incomplete);
  c.optional("remotes", m.remotes);
  c.optional("inputs", m.inputs);
  c.optional("ticket", m.ticket);
}
template <typename C>
void fields(C& c, SourceList& m) {
  c("sources", m.sources);
}
template <typename C>
void fields(C& c, JobBatch& m) {
  c("jobs", m.jobs);
}

}  // namespace sluice::wire
