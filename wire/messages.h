// The messages of every link, of records and of control; those of jobs are in wire/job_messages.h.
// The specifications in spec/ give their meaning; the names here are the field names on the wire.
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
  std::int64_t time = 0;  // jobs: wall clock of the session, ns; 0: not said
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
  c.sparse("time", m.time);
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

}  // namespace sluice::wire

// The mappings of the model's types lie in their namespace, for argument-dependent lookup.
#include "wire/model_fields.h"

namespace sluice::wire {

SLUICE_CODERS(extern, ErrorBody);
SLUICE_CODERS(extern, Hello);
SLUICE_CODERS(extern, Welcome);
SLUICE_CODERS(extern, Refused);
SLUICE_CODERS(extern, Ending);
SLUICE_CODERS(extern, Heartbeat);
SLUICE_CODERS(extern, Ack);
SLUICE_CODERS(extern, Resend);
SLUICE_CODERS(extern, Nack);
SLUICE_CODERS(extern, Next);
SLUICE_CODERS(extern, Request);
SLUICE_CODERS(extern, Reply);
SLUICE_CODERS(extern, Peer);
SLUICE_CODERS(extern, Peers);
SLUICE_CODERS(extern, EnrolArguments);
SLUICE_CODERS(extern, Enrolled);
SLUICE_CODERS(extern, RevokeArguments);
SLUICE_CODERS(extern, LoadInput);
SLUICE_CODERS(extern, LoadWanted);
SLUICE_CODERS(extern, LoadArguments);
SLUICE_CODERS(extern, ReloadArguments);
SLUICE_CODERS(extern, ProjectServers);
SLUICE_CODERS(extern, LoadResult);
SLUICE_CODERS(extern, RefEdit);
SLUICE_CODERS(extern, WriteRefs);
SLUICE_CODERS(extern, RefFile);
SLUICE_CODERS(extern, WriteRefsResult);
SLUICE_CODERS(extern, ProjectRemotes);
SLUICE_CODERS(extern, RunArguments);
SLUICE_CODERS(extern, RunAccepted);
SLUICE_CODERS(extern, RetryArguments);
SLUICE_CODERS(extern, LimitsArguments);
SLUICE_CODERS(extern, AnswerArguments);

}  // namespace sluice::wire
