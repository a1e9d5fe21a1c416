// Events: what records and live messages say (spec/records.md, table of keys).
//
// An event is one packed map of sections. Sections are packed when they change and spliced in from
// then on: write an event by joining the packed sections that make its context with its own part.
// Readers decode Event, in which a section that the event doesn't have is absent, or walk the map
// themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace sluice::wire {

inline constexpr std::uint32_t kEventVersion = 1;

struct SessionSection {
  std::string id;
  std::string project;       // name of the toplevel project
  std::string verb;          // of the command that the session was started for
  std::int64_t started = 0;  // wall clock, ns
  std::int64_t elapsed = 0;
  std::string state;  // active | suspended | quitting | ending | ended
};
template <typename C>
void fields(C& c, SessionSection& m) {
  c("id", m.id);
  c("project", m.project);
  c("verb", m.verb);
  c("started", m.started);
  c("elapsed", m.elapsed);
  c("state", m.state);
}

struct RunSection {
  std::uint32_t number = 0;
  std::string verb;
  std::int64_t elapsed = 0;
  std::uint32_t position = 0;  // of the event's element, from 1; 0 when it has none
  std::uint32_t elements = 0;  // of the run
  std::uint32_t total = 0;     // of its pipeline: with those that it leaves alone
};
template <typename C>
void fields(C& c, RunSection& m) {
  c("number", m.number);
  c("verb", m.verb);
  c("elapsed", m.elapsed);
  c.optional("position", m.position);
  c.optional("elements", m.elements);
  c.optional("total", m.total);
}

struct ElementSection {
  std::string project;
  std::string name;  // full name, junctions included
  std::string kind;
  std::string key;    // full, as known now; "" when unknown
  std::string brief;  // the first characters that are shown
  bool strict = true;
  // the text of a model::ElementState (model/states.h); "" while there is no run
  std::string state;
};
template <typename C>
void fields(C& c, ElementSection& m) {
  c("project", m.project);
  c("name", m.name);
  c("kind", m.kind);
  c("key", m.key);
  c("brief", m.brief);
  c("strict", m.strict);
  c("state", m.state);
}

struct JobSection {
  std::uint64_t id = 0;
  std::string action;  // build, fetch...; what stands in the log's [action:element]
  std::uint32_t attempt = 1;
  std::string runner;
  std::string host;
  std::uint32_t slot = 0;
  std::int64_t started = 0;  // wall clock, ns
  std::int64_t elapsed = 0;
  std::string log_file;  // absolute
};
template <typename C>
void fields(C& c, JobSection& m) {
  c("id", m.id);
  c("action", m.action);
  c("attempt", m.attempt);
  c("runner", m.runner);
  c("host", m.host);
  c("slot", m.slot);
  c("started", m.started);
  c("elapsed", m.elapsed);
  c("log_file", m.log_file);
}

struct QueueSection {
  std::string name;  // Fetch, Build
  std::uint32_t waiting = 0, active = 0, processed = 0, skipped = 0, failed = 0;
};
template <typename C>
void fields(C& c, QueueSection& m) {
  c("name", m.name);
  c("waiting", m.waiting);
  c("active", m.active);
  c("processed", m.processed);
  c("skipped", m.skipped);
  c("failed", m.failed);
}

struct ActiveJob {
  std::string element;
  std::string key;  // brief
  std::string action;
  std::uint64_t job = 0;
  std::int64_t elapsed = 0;
  std::string runner;
  std::uint32_t attempt = 1;
  std::string log_file;
  std::int64_t expected = 0;  // ns, as such a job of the element took the last time; 0: unknown
  bool critical = false;      // on the longest way to the run's end
  std::string step;           // what of it runs now: "Running commands"
  std::string line;           // status/lines/: the last line of its output, without escapes
};
template <typename C>
void fields(C& c, ActiveJob& m) {
  c("element", m.element);
  c("key", m.key);
  c("action", m.action);
  c("job", m.job);
  c("elapsed", m.elapsed);
  c("runner", m.runner);
  c.optional("attempt", m.attempt);
  c.sparse("log_file", m.log_file);
  c.sparse("expected", m.expected);
  c.sparse("critical", m.critical);
  c.sparse("step", m.step);
  c.sparse("line", m.line);
}

struct ActiveSection {
  std::vector<ActiveJob> jobs;  // the oldest first; at most 64 in status/
  std::uint32_t total = 0;
};
template <typename C>
void fields(C& c, ActiveSection& m) {
  c("jobs", m.jobs);
  c("total", m.total);
}

// What a run is made of: run.started and run.planned.
struct PlanSection {
  // run.started: of each of `elements` the indices there of those that it is built with or needs to
  // run
  std::vector<std::vector<std::uint32_t>> dependencies;
  // run.planned: how long the jobs of each of them that are still to be done took the last time,
  // ns; what was never done counts as the average of what was
  std::vector<std::int64_t> expected;
};
template <typename C>
void fields(C& c, PlanSection& m) {
  c.sparse("dependencies", m.dependencies);
  c.sparse("expected", m.expected);
}

// How far a run is: status, run.finished. Numbers of elements.
struct ProgressSection {
  std::uint32_t elements = 0;  // that the run works on, as far as is known
  std::uint32_t done = 0;      // of these, those that need nothing more
  std::uint32_t cached = 0, pulled = 0, built = 0, fetched = 0;
  std::uint32_t failed = 0;
  std::uint32_t blocked = 0;  // wait for one that failed
};
template <typename C>
void fields(C& c, ProgressSection& m) {
  c("elements", m.elements);
  c("done", m.done);
  c.optional("cached", m.cached);
  c.optional("pulled", m.pulled);
  c.optional("built", m.built);
  c.optional("fetched", m.fetched);
  c.optional("failed", m.failed);
  c.optional("blocked", m.blocked);
}

// How long a run will still take, by how long its jobs took the last time: status. Nanoseconds from
// the event's time on.
struct EstimateSection {
  std::int64_t remaining = 0;
  std::int64_t low = 0, high = 0;
  std::int64_t critical = 0;  // of the longest way to the run's end
  std::uint32_t guessed = 0;  // elements that were never built, which count as the average
};
template <typename C>
void fields(C& c, EstimateSection& m) {
  c("remaining", m.remaining);
  c("low", m.low);
  c("high", m.high);
  c.optional("critical", m.critical);
  c.optional("guessed", m.guessed);
}

// Builders that have nothing to do while the run goes on: status.
struct IdleSection {
  std::uint32_t builders = 0;
  std::string why;  // a line for people
};
template <typename C>
void fields(C& c, IdleSection& m) {
  c("builders", m.builders);
  c.optional("why", m.why);
}

// What an attempt has used: job.finished. What the machine doesn't say is 0.
struct UsageSection {
  std::int64_t cpu = 0;      // ns of processors, of all its processes
  std::uint64_t memory = 0;  // bytes of the largest of its processes, at its peak
  std::uint64_t bytes = 0;   // of what it made or brought: files of the artifact, or of the sources
  std::uint64_t fetched = 0, uploaded = 0;  // bytes that travelled between machines for it
};
template <typename C>
void fields(C& c, UsageSection& m) {
  c.sparse("cpu", m.cpu);
  c.sparse("memory", m.memory);
  c.sparse("bytes", m.bytes);
  c.sparse("fetched", m.fetched);
  c.sparse("uploaded", m.uploaded);
}

struct CacheSection {
  std::uint64_t used = 0;
  std::uint64_t quota = 0;  // 0: unlimited
};
template <typename C>
void fields(C& c, CacheSection& m) {
  c("used", m.used);
  c("quota", m.quota);
}

// How many jobs at once: status, session.limits.
struct LimitsSection {
  std::uint32_t builders = 0, fetchers = 0;
  bool changed = false;  // by somebody while the session runs
};
template <typename C>
void fields(C& c, LimitsSection& m) {
  c("builders", m.builders);
  c("fetchers", m.fetchers);
  c.optional("changed", m.changed);
}

// A runner from elsewhere: runner.joined, runner.left, runner.quarantined.
struct RunnerSection {
  std::string name, host;
  std::string machine;   // the same for all runners of one
  std::string platform;  // "linux/x86-64"
  std::uint32_t slots = 0;
  std::string why;  // left, quarantined: the reason, in words
};
template <typename C>
void fields(C& c, RunnerSection& m) {
  c("name", m.name);
  c("host", m.host);
  c.optional("machine", m.machine);
  c.optional("platform", m.platform);
  c.optional("slots", m.slots);
  c.optional("why", m.why);
}

struct ErrorSection {
  std::string scope;  // main | task
  std::string domain;
  std::string reason;
  std::string message;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string subject;  // whose place that is: "tar source"
};
template <typename C>
void fields(C& c, ErrorSection& m) {
  c("scope", m.scope);
  c("domain", m.domain);
  c("reason", m.reason);
  c("message", m.message);
  c.optional("file", m.file);
  c.optional("line", m.line);
  c.optional("column", m.column);
  c.optional("subject", m.subject);
}

// One project as the heading of a run lists it.
struct HeadingProject {
  std::string name;
  std::string junction;   // full name of the junction element; "" for the toplevel
  std::string loaded_by;  // provenance of what loaded it
  std::vector<std::pair<std::string, std::string>> options;  // name, value
  // kind, where it comes from ("core plugin")
  std::vector<std::pair<std::string, std::string>> element_plugins;
  std::vector<std::pair<std::string, std::string>> source_plugins;
};
template <typename C>
void fields(C& c, HeadingProject& m) {
  c("name", m.name);
  c.optional("junction", m.junction);
  c.optional("loaded_by", m.loaded_by);
  c.optional("options", m.options);
  c.optional("element_plugins", m.element_plugins);
  c.optional("source_plugins", m.source_plugins);
}

// run.started: what is said about a run before its pipeline.
struct HeadingSection {
  std::string directory;  // of the toplevel project
  std::vector<std::string> targets;
  std::string config_file;  // "" for the defaults
  std::string cachedir, logdir, sourcedir, builddir;
  bool strict = true;
  std::uint32_t fetchers = 0, builders = 0, pushers = 0, network_retries = 0;
  std::vector<HeadingProject> projects;
};
template <typename C>
void fields(C& c, HeadingSection& m) {
  c("directory", m.directory);
  c("targets", m.targets);
  c.optional("config_file", m.config_file);
  c.optional("cachedir", m.cachedir);
  c.optional("logdir", m.logdir);
  c.optional("sourcedir", m.sourcedir);
  c.optional("builddir", m.builddir);
  c.optional("strict", m.strict);
  c.optional("fetchers", m.fetchers);
  c.optional("builders", m.builders);
  c.optional("pushers", m.pushers);
  c.optional("network_retries", m.network_retries);
  c.optional("projects", m.projects);
}

// run.finished: how an element of the run failed, for the summary (the last failure of each; those
// that succeeded when tried again are left out).
struct FailureSection {
  ElementSection element;
  JobSection job;
  std::string level;  // failure | error | bug
  std::string text;
  std::string detail;
  std::string log_tail;
};
template <typename C>
void fields(C& c, FailureSection& m) {
  c("element", m.element);
  c("job", m.job);
  c.optional("level", m.level);
  c("text", m.text);
  c.optional("detail", m.detail);
  c.optional("log_tail", m.log_tail);
}

// A question that a failed element asks of whoever sits at a terminal: prompt.opened,
// prompt.closed, `prompts` of a status.
struct PromptSection {
  std::uint64_t id = 0;  // what `answer` names it by; numbered through the session
  std::string element;   // full name
  std::string text;      // how its job failed
  std::string log_file;
  // the cached failure, as `shell --use-buildtree` names it; "": none
  std::string artifact;
  std::vector<std::string> choices;  // continue quit terminate retry
  // prompt.closed: the choice, and the client that made it; "" when the run decided
  std::string answer, by;
};
template <typename C>
void fields(C& c, PromptSection& m) {
  c("id", m.id);
  c("element", m.element);
  c.optional("text", m.text);
  c.optional("log_file", m.log_file);
  c.optional("artifact", m.artifact);
  c.optional("choices", m.choices);
  c.optional("answer", m.answer);
  c.optional("by", m.by);
}

// An event as its readers get it. Types: session.started, session.suspended, session.resumed,
// session.limits, session.ended, run.started, run.planned, run.finished, element.state, job.queued,
// job.started, job.finished, job.message, prompt.opened, prompt.closed, runner.joined, runner.left,
// runner.quarantined, message, error, status. The topic of a type is its name with '.' as '/' and a
// '/' at the end.
//
// `level` of messages: debug status info warn error bug start success failure skipped.
struct Event {
  std::uint32_t v = kEventVersion;
  std::string type;
  std::int64_t time = 0;  // wall clock, ns
  // Stamped by the broker on records: publisher, its epoch and sequence, and the cursor.
  std::string src;
  std::uint64_t epoch = 0, seq = 0, cursor = 0;
  std::optional<SessionSection> session;
  std::optional<RunSection> run;
  std::optional<ElementSection> element;
  std::optional<JobSection> job;
  std::optional<std::vector<QueueSection>> queues;
  std::optional<ActiveSection> active;
  std::optional<CacheSection> cache;
  std::optional<PlanSection> plan;          // run.started, run.planned
  std::optional<ProgressSection> progress;  // status, run.finished
  std::optional<EstimateSection> estimate;  // status, while durations are known
  std::optional<IdleSection> idle;          // status, while a builder is idle
  std::optional<UsageSection> usage;        // job.finished
  std::optional<LimitsSection> limits;
  std::optional<RunnerSection> runner;  // runner.joined, runner.left, runner.quarantined
  // status: `text` is what waits for a runner that isn't there; "" when nothing does
  std::string level, text, detail;
  // job.finished of a failure: the last `error-lines` lines of its log, for whoever can't read the
  // file
  std::string log_tail;
  // job.finished: success | failure | error | killed | skipped; run.finished: success | failure |
  // terminated | quit
  std::string outcome;
  // job.finished of a success: where what the element needs came from: built | pulled | cached |
  // fetched; empty of other actions
  std::string origin;
  // job.message: the step's own time ([elapsed] of BuildStream's line), ns
  std::int64_t elapsed = 0;
  std::optional<ErrorSection> error;
  // run.started: the pipeline as it is shown at the start, run.finished: the failed elements
  std::optional<std::vector<ElementSection>> elements;
  std::optional<HeadingSection> heading;                // run.started
  std::optional<std::vector<FailureSection>> failures;  // run.finished
  // run.finished: the elements whose keys have changed since the run started
  std::optional<std::vector<ElementSection>> resolved;
  std::optional<PromptSection> prompt;  // prompt.opened, prompt.closed
  // status: the oldest of those that are open
  std::optional<std::vector<PromptSection>> prompts;
};
template <typename C>
void fields(C& c, Event& m) {
  // The fields come in this order: the broker's stamp, the head, the sections.
  c.optional("src", m.src);
  c.optional("epoch", m.epoch);
  c.optional("seq", m.seq);
  c.optional("cursor", m.cursor);
  c("v", m.v);
  c("type", m.type);
  c("time", m.time);
  c.optional("level", m.level);
  c.optional("text", m.text);
  c.optional("detail", m.detail);
  c.optional("outcome", m.outcome);
  c.optional("origin", m.origin);
  c.optional("elapsed", m.elapsed);
  c.optional("session", m.session);
  c.optional("run", m.run);
  c.optional("element", m.element);
  c.optional("job", m.job);
  c.optional("queues", m.queues);
  c.optional("active", m.active);
  c.optional("cache", m.cache);
  c.optional("plan", m.plan);
  c.optional("progress", m.progress);
  c.optional("estimate", m.estimate);
  c.optional("idle", m.idle);
  c.optional("usage", m.usage);
  c.optional("limits", m.limits);
  c.optional("runner", m.runner);
  c.optional("log_tail", m.log_tail);
  c.optional("error", m.error);
  c.optional("elements", m.elements);
  c.optional("heading", m.heading);
  c.optional("failures", m.failures);
  c.optional("resolved", m.resolved);
  c.optional("prompt", m.prompt);
  c.optional("prompts", m.prompts);
}

// "job.finished" -> "job/finished/".
std::string topic_of(std::string_view type);

// {name: section}, for joining.
template <typename T>
std::string pack_section(std::string_view name, const T& section) {
  std::string out;
  Writer writer(out);
  writer.map(1);
  writer.string(name);
  out += encode(section);
  return out;
}

// The part that each event has of its own: version, type, time, and what of level, text, detail,
// outcome and elapsed isn't empty.
struct EventHead {
  std::string_view type;
  std::int64_t time = 0;
  std::string_view level, text, detail, outcome;
  std::int64_t elapsed = 0;
  std::string_view origin;
};
std::string pack_head(const EventHead& head);

// The whole event: head and sections ({..} maps) joined.
std::string pack_event(const EventHead& head, const std::vector<std::string_view>& sections);

// Bytes of a record that the log takes, at most.
inline constexpr std::size_t kMaxRecord = 16u << 20;

// The event as it is, when it has no more than `most` bytes. Else its texts are cut, and its lists
// as far as that isn't enough; `cut` says how many bytes it had. Of one that can't be made to fit
// that it is left out is said by another of its type and time.
std::string fit_event(std::string packed, std::size_t most = kMaxRecord);

// The detail of an activity that took longer than 3 s (`elapsed`: ns), as BuildStream has it: how
// many subtasks it had; "" of others. `known`: it was known before how many there would be.
std::string subtasks_processed(std::size_t count, bool known, std::int64_t elapsed);

Result<Event> decode_event(std::string_view packed);

// Before JOB/OFFSET/READER/ in the topic of a log from a byte on.
inline constexpr std::string_view kLogFrom = "log-from/";

// Where a piece of a job's log stands: live events of the type "log" (spec/records.md). Bytes.
struct LogPlace {
  std::uint64_t offset = 0;  // of the text
  std::uint64_t size = 0;    // of the log as it is now
  bool last = false;         // no more comes under this topic
  bool ended = false;        // the log ends with this text
};
template <typename C>
void fields(C& c, LogPlace& m) {
  c("offset", m.offset);
  c.optional("size", m.size);
  c.optional("last", m.last);
  c.optional("ended", m.ended);
}

// Such an event as its readers get it.
struct LogEvent {
  std::string text;
  JobSection job;
  std::optional<ErrorSection> error;  // why there is nothing
  std::uint64_t offset = 0, size = 0;
  bool last = false, ended = false;
};
template <typename C>
void fields(C& c, LogEvent& m) {
  c.optional("text", m.text);
  c("job", m.job);
  c.optional("error", m.error);
  c("offset", m.offset);
  c.optional("size", m.size);
  c.optional("last", m.last);
  c.optional("ended", m.ended);
}
Result<LogEvent> decode_log_event(std::string_view packed);

}  // namespace sluice::wire
