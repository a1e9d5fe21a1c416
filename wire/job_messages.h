// The messages between the scheduler and its runners (spec/jobs.md), and what the scheduler says of
// runners. As in wire/messages.h, the names here are the field names on the wire.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/messages.h"

namespace sluice::wire {

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
  // Bytes that travelled for it: with the session's store, and with the storage service of the
  // runner's machine.
  std::uint64_t fetched = 0, uploaded = 0, storage_fetched = 0, storage_uploaded = 0;
  // What its processes have used (UsageSection of events.h); 0 where nobody knows.
  std::int64_t cpu = 0;
  std::uint64_t memory = 0, bytes = 0;
};
// The most bytes of each text of a result that are taken (J102): records of it, and the journal,
// hold some of them twice.
inline constexpr std::size_t kMostErrorText = 64u << 10;
inline constexpr std::size_t kMostLogTail = 256u << 10;
void limit_texts(JobResult& result);
// How many bytes they have together.
std::size_t text_bytes(const JobResult& result);
template <typename C>
void fields(C& c, JobResult& m) {
  c("id", m.id);
  c("status", m.status);
  c.sparse("error", m.error);
  c.sparse("elapsed", m.elapsed);
  c.sparse("log_file", m.log_file);
  c.sparse("artifact", m.artifact);
  c.sparse("sources", m.sources);
  c.sparse("refs", m.refs);
  c.sparse("artifact_message", m.artifact_message);
  c.sparse("log", m.log);
  c.sparse("log_tail", m.log_tail);
  c.sparse("fetched", m.fetched);
  c.sparse("uploaded", m.uploaded);
  c.sparse("storage_fetched", m.storage_fetched);
  c.sparse("storage_uploaded", m.storage_uploaded);
  c.sparse("cpu", m.cpu);
  c.sparse("memory", m.memory);
  c.sparse("bytes", m.bytes);
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

// Scheduler -> runner: kill these (fenced, or a user's command): TERM, `grace_ms`, KILL. With
// `unstarted` those alone that haven't started, since somebody else is free to do them.
struct Cancel {
  static constexpr std::string_view kName = "CANCEL";
  std::vector<JobId> jobs;
  std::uint32_t grace_ms = 5000;
  bool unstarted = false;
};
template <typename C>
void fields(C& c, Cancel& m) {
  c("jobs", m.jobs);
  c.optional("grace_ms", m.grace_ms);
  c.optional("unstarted", m.unstarted);
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

// Scheduler -> runner: somebody looks at what its jobs do, or nobody does any more. With `lines` at
// the last lines of their output, too.
struct Watch {
  static constexpr std::string_view kName = "WATCH";
  bool steps = false, lines = false;
};
template <typename C>
void fields(C& c, Watch& m) {
  c.optional("steps", m.steps);
  c.optional("lines", m.lines);
}

// Runner -> scheduler, while it is watched: what these jobs do now. Those are left out of whom it
// has said so already.
struct JobProgress {
  JobId id;
  std::string step;  // what of it runs, as its message has it; "": nothing that has a name
  std::string line;  // the last line of its output, without escapes
};
template <typename C>
void fields(C& c, JobProgress& m) {
  c("id", m.id);
  c.sparse("step", m.step);
  c.sparse("line", m.line);
}
struct Progress {
  static constexpr std::string_view kName = "PROGRESS";
  std::vector<JobProgress> jobs;
};
template <typename C>
void fields(C& c, Progress& m) {
  c("jobs", m.jobs);
}
// The most bytes of a step and of a line that are said, and taken.
inline constexpr std::size_t kMostStep = 128, kMostLine = 256;

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
  std::uint64_t done = 0, failed = 0;
  std::uint64_t fetched = 0, uploaded = 0, storage_fetched = 0, storage_uploaded = 0;
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
  c.optional("storage_fetched", m.storage_fetched);
  c.optional("storage_uploaded", m.storage_uploaded);
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

template <typename C>
void fields(C& c, Job& m) {
  c("id", m.id);
  c("action", m.action);
  c("context", m.context);
  c("element", m.element);
  c.sparse("dependencies", m.dependencies);
  c.sparse("dependency_sources", m.dependency_sources);
  c.sparse("sources", m.sources);
  c("keys", m.keys);
  c("log_file", m.log_file);
  c("settings", m.settings);
  c.sparse("skip_incomplete", m.skip_incomplete);
  c.sparse("remotes", m.remotes);
  c.sparse("inputs", m.inputs);
  c.sparse("ticket", m.ticket);
}
template <typename C>
void fields(C& c, SourceList& m) {
  c("sources", m.sources);
}
template <typename C>
void fields(C& c, JobBatch& m) {
  c("jobs", m.jobs);
}

SLUICE_CODERS(extern, JobId);
SLUICE_CODERS(extern, RunnerHello);
SLUICE_CODERS(extern, JobInput);
SLUICE_CODERS(extern, Job);
SLUICE_CODERS(extern, JobElement);
SLUICE_CODERS(extern, SourceList);
SLUICE_CODERS(extern, JobBatch);
SLUICE_CODERS(extern, StartedJob);
SLUICE_CODERS(extern, Started);
SLUICE_CODERS(extern, NewRef);
SLUICE_CODERS(extern, JobResult);
SLUICE_CODERS(extern, Results);
SLUICE_CODERS(extern, ResultAck);
SLUICE_CODERS(extern, Cancel);
SLUICE_CODERS(extern, RunnerBeat);
SLUICE_CODERS(extern, Suspend);
SLUICE_CODERS(extern, Resume);
SLUICE_CODERS(extern, JobLimits);
SLUICE_CODERS(extern, Watch);
SLUICE_CODERS(extern, Progress);
SLUICE_CODERS(extern, Drain);
SLUICE_CODERS(extern, Goodbye);
SLUICE_CODERS(extern, RunnerInfo);
SLUICE_CODERS(extern, RunnerList);
SLUICE_CODERS(extern, RunnerArguments);

}  // namespace sluice::wire
