// The scheduler's journal: every change of the model, in order, before anybody hears of it. A
// scheduler that is started again applies the same changes to the same snapshot and is where the
// other one was.
//
// Each record of the file (base/append_log.h) is one MessagePack map with `change`, the name of the
// change, and its fields. scheduler/README.md has the table. Times are nanoseconds: `time` wall
// clock, `elapsed` the session's, suspended time left out.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/codec.h"
#include "wire/job_messages.h"
#include "wire/messages.h"

namespace sluice::scheduler {

struct Stamp {
  std::int64_t time = 0;
  std::int64_t elapsed = 0;
};
template <typename C>
void fields(C& c, Stamp& m) {
  c("time", m.time);
  c("elapsed", m.elapsed);
}

// A scheduler process began; the first one of a journal starts the session.
struct ProcessStarted {
  static constexpr std::string_view kName = "process";
  Stamp at;
  std::uint64_t epoch = 0;
};
template <typename C>
void fields(C& c, ProcessStarted& m) {
  c("at", m.at);
  c("epoch", m.epoch);
}

// A cached failure that a run does not take for its element, which is built.
struct DiscardedFailure {
  std::uint32_t element = 0;
  std::string key;  // under which it is cached
};
template <typename C>
void fields(C& c, DiscardedFailure& m) {
  c("element", m.element);
  c("key", m.key);
}

struct RunStarted {
  static constexpr std::string_view kName = "run";
  Stamp at;
  std::uint32_t number = 0;
  wire::RunArguments arguments;
  std::string snapshot_id;
  // What the store had when it was asked: one byte for each element of the snapshot, the
  // ArtifactState in the low four bits, the SourcesState above.
  wire::Blob states;
  // elements whose artifacts are cached but for their build trees, when these are wanted
  std::vector<std::uint32_t> lacks_buildtree;
  std::vector<DiscardedFailure> discarded;
  std::int64_t query = 0;  // how long asking took
  std::string request;     // id of the request that asked for the run
};
template <typename C>
void fields(C& c, RunStarted& m) {
  c("at", m.at);
  c("number", m.number);
  c("arguments", m.arguments);
  c("snapshot_id", m.snapshot_id);
  c("states", m.states);
  c.optional("lacks_buildtree", m.lacks_buildtree);
  c("discarded", m.discarded);
  c("query", m.query);
  c("request", m.request);
}

// An attempt is given to a runner ("" : the scheduler replays a cached failure itself).
struct AttemptGiven {
  static constexpr std::string_view kName = "attempt";
  Stamp at;
  wire::JobId id;
  std::uint32_t element = 0;
  std::string queue;
  std::string runner;
  std::string log_file;  // relative to the log directory
};
template <typename C>
void fields(C& c, AttemptGiven& m) {
  c("at", m.at);
  c("id", m.id);
  c("element", m.element);
  c("queue", m.queue);
  c("runner", m.runner);
  c("log_file", m.log_file);
}

struct AttemptStarted {
  static constexpr std::string_view kName = "started";
  Stamp at;
  wire::JobId id;
  std::uint32_t slot = 0;
  std::string host;
  std::string machine;  // that it dies with
  // Wall clock of its runner, ns, as all messages of the job have it; 0: its runner hasn't said.
  std::int64_t time = 0;
};
template <typename C>
void fields(C& c, AttemptStarted& m) {
  c("at", m.at);
  c("id", m.id);
  c("slot", m.slot);
  c("host", m.host);
  c.optional("machine", m.machine);
  c.optional("time", m.time);
}

// An attempt is lost, and fenced: its job is ready again, or failed when this was the last attempt.
struct AttemptLost {
  static constexpr std::string_view kName = "lost";
  Stamp at;
  wire::JobId id;
  std::string why;
  bool returned = false;   // no loss: its runner gave it back, or it counts as if it had
  bool blameless = false;  // its machine had no part in it
};
template <typename C>
void fields(C& c, AttemptLost& m) {
  c("at", m.at);
  c("id", m.id);
  c("why", m.why);
  c.optional("returned", m.returned);
  c.optional("blameless", m.blameless);
}

struct AttemptEnded {
  static constexpr std::string_view kName = "result";
  Stamp at;
  wire::JobResult result;
  std::string log_tail;  // of a failure: the end of its log
};
template <typename C>
void fields(C& c, AttemptEnded& m) {
  c("at", m.at);
  c("result", m.result);
  c("log_tail", m.log_tail);
}

// An attempt that tracked has found new refs, which are to be written into the project's files: it
// ends when they are.
struct RefsFound {
  static constexpr std::string_view kName = "refs-found";
  Stamp at;
  wire::JobResult result;
};
template <typename C>
void fields(C& c, RefsFound& m) {
  c("at", m.at);
  c("result", m.result);
}

// Refs that were found are written, with the files that changed by that and what these were; or
// they can't be.
struct RefsWritten {
  static constexpr std::string_view kName = "refs-written";
  Stamp at;
  std::uint64_t job = 0;
  std::vector<wire::RefFile> files;
  std::optional<wire::ErrorBody> error;
};
template <typename C>
void fields(C& c, RefsWritten& m) {
  c("at", m.at);
  c("job", m.job);
  c("files", m.files);
  c.optional("error", m.error);
}

// The project was loaded again after its files changed: when the run is over, the session's
// snapshot is the one that came of it.
struct SnapshotSuperseded {
  static constexpr std::string_view kName = "superseded";
  Stamp at;
  // "" when the project can't be loaded any more: the snapshot stays the one that there is
  std::string snapshot_file;
  std::string snapshot_id;
};
template <typename C>
void fields(C& c, SnapshotSuperseded& m) {
  c("at", m.at);
  c("snapshot_file", m.snapshot_file);
  c("snapshot_id", m.snapshot_id);
}

struct KeyResolved {
  std::uint32_t element = 0;
  std::string key;
};
template <typename C>
void fields(C& c, KeyResolved& m) {
  c("element", m.element);
  c("key", m.key);
}
// A build that isn't strict has pulled all that it will; these keys follow from it.
struct KeysResolved {
  static constexpr std::string_view kName = "keys";
  Stamp at;
  std::vector<KeyResolved> keys;
};
template <typename C>
void fields(C& c, KeysResolved& m) {
  c("at", m.at);
  c("keys", m.keys);
}

// A run was steered: `command` is quit, terminate, or retry, of the element that failed.
struct RunSteered {
  static constexpr std::string_view kName = "steered";
  Stamp at;
  std::string command;
  std::uint32_t element = 0;
};
template <typename C>
void fields(C& c, RunSteered& m) {
  c("at", m.at);
  c("command", m.command);
  c("element", m.element);
}

// A prompt was answered. What opened it is the failure that it asks about.
struct PromptAnswered {
  static constexpr std::string_view kName = "answered";
  Stamp at;
  std::uint64_t prompt = 0;
  std::string choice;  // of any other than "continue" a RunSteered follows
  std::string by;
};
template <typename C>
void fields(C& c, PromptAnswered& m) {
  c("at", m.at);
  c("prompt", m.prompt);
  c("choice", m.choice);
  c("by", m.by);
}

// The store no longer has what the journal says that it had. The store wins.
struct StoreLost {
  static constexpr std::string_view kName = "store-lost";
  Stamp at;
  std::vector<std::uint32_t> artifacts;
  std::vector<std::uint32_t> sources;
};
template <typename C>
void fields(C& c, StoreLost& m) {
  c("at", m.at);
  c("artifacts", m.artifacts);
  c("sources", m.sources);
}

struct Suspended {
  static constexpr std::string_view kName = "suspended";
  Stamp at;
};
template <typename C>
void fields(C& c, Suspended& m) {
  c("at", m.at);
}

struct Resumed {
  static constexpr std::string_view kName = "resumed";
  Stamp at;
};
template <typename C>
void fields(C& c, Resumed& m) {
  c("at", m.at);
}

// Limits of how many jobs are done at once from now on; 0: as the run's settings say.
struct LimitsSet {
  static constexpr std::string_view kName = "limits";
  Stamp at;
  std::uint32_t builders = 0, fetchers = 0;
};
template <typename C>
void fields(C& c, LimitsSet& m) {
  c("at", m.at);
  c("builders", m.builders);
  c("fetchers", m.fetchers);
}

struct RunFinished {
  static constexpr std::string_view kName = "run-finished";
  Stamp at;
  std::string outcome;
};
template <typename C>
void fields(C& c, RunFinished& m) {
  c("at", m.at);
  c("outcome", m.outcome);
}

struct SessionEnded {
  static constexpr std::string_view kName = "session-ended";
  Stamp at;
};
template <typename C>
void fields(C& c, SessionEnded& m) {
  c("at", m.at);
}

// Everything that follows from the first `upto` records is in the broker's log.
struct Published {
  static constexpr std::string_view kName = "published";
  std::uint64_t upto = 0;
};
template <typename C>
void fields(C& c, Published& m) {
  c("upto", m.upto);
}

// The packed map {"change": the change's name}.
template <typename T>
inline constexpr auto kChangeHead = [] {
  constexpr std::string_view key = "change", name = T::kName;
  static_assert(name.size() < 32, "a name of one byte's length");
  std::array<char, 3 + key.size() + name.size()> packed{};
  auto at = packed.begin();
  *at++ = static_cast<char>(0x81);
  *at++ = static_cast<char>(0xa0 | key.size());
  at = std::copy(key.begin(), key.end(), at);
  *at++ = static_cast<char>(0xa0 | name.size());
  std::copy(name.begin(), name.end(), at);
  return packed;
}();

template <typename T>
std::string pack_change(const T& change) {
  const auto& head = kChangeHead<T>;
  return wire::join_maps({std::string_view(head.data(), head.size()), wire::encode(change)});
}

// The name of a packed change; "" when it has none.
std::string change_name(std::string_view packed);

}  // namespace sluice::scheduler
