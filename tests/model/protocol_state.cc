// The text of a state, which tells it apart from others: all that decides what may follow.
#include <algorithm>

#include <fmt/format.h>

#include "tests/model/protocol_world.h"
#include "wire/snapshot.h"

namespace sluice {

namespace {

using Text = fmt::memory_buffer;

template <typename... Arguments>
void print(Text& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

void print(Text& out, const wire::JobId& id) { print(out, "{}.{},", id.job, id.attempt); }

template <typename T>
void print_ids(Text& out, const T& ids) {
  for (const wire::JobId& id : ids) print(out, id);
  print(out, ";");
}

}  // namespace

namespace jobs {

std::string RunnerState::text(const Runner& runner) {
  Text out;
  print(out, "{} {}{}{}{}{} {} ", runner.connection_, +runner.greeted_,
        +runner.greeting_.welcomed(), +runner.suspended_, +runner.ending_, +runner.refused_,
        runner.silent_beats_);
  print(out, "{} {} {} {}{} ", runner.limits_.builders, runner.limits_.fetchers,
        runner.options_.slots, +runner.draining_, +runner.told_to_leave_);
  print(out, "{}", +runner.drain_unsaid_);
  print_ids(out, runner.returned_);
  for (const auto& waiting : runner.waiting_) {
    print(out, waiting.job.id);
    print(out, "{}", +waiting.prefetched);
  }
  print(out, ";");
  for (const auto& [id, job] : runner.running_) {
    print(out, id);
    print(out, "{}{}{}", +job.cancelled, static_cast<unsigned>(job.phase),
          job.result ? text_of(job.result->status) : "");
  }
  print(out, ";");
  for (const auto& [id, result] : runner.outbox_.results()) {
    print(out, id);
    const auto record = runner.records_of_.find(id);
    print(out, "{}{}{} ", text_of(result.status), result.error ? result.error->domain : "",
          record != runner.records_of_.end() && record->second > runner.outputs_.acknowledged());
  }
  print_ids(out, runner.ready_);
  return fmt::to_string(out);
}

std::vector<wire::JobResult> RunnerState::outbox(const Runner& runner) {
  std::vector<wire::JobResult> results;
  for (const auto& [id, result] : runner.outbox_.results()) results.push_back(result);
  return results;
}

bool RunnerState::has(const Runner& runner, const wire::JobId& id) {
  return runner.running_.contains(id) || runner.outbox_.has(id) ||
         std::any_of(runner.waiting_.begin(), runner.waiting_.end(),
                     [&](const auto& waiting) { return waiting.job.id == id; });
}

bool RunnerState::welcomed(const Runner& runner) { return runner.greeting_.welcomed(); }

}  // namespace jobs

namespace search {

namespace {

constexpr const char* kKinds[] = {"start the scheduler",
                                  "start",
                                  "the scheduler reads from",
                                  "reads",
                                  "death notice of",
                                  "job done at",
                                  "job killed at",
                                  "records acknowledged of",
                                  "beat of",
                                  "a lease passes",
                                  "the command ends the session",
                                  "resume",
                                  "the supervisor ends",
                                  "transferred at",
                                  "leaves, or is about to:",
                                  "the scheduler finds that it is gone:",
                                  "a lease passes before it is connected again:",
                                  "a minute passes",
                                  "fault"};
constexpr const char* kFaults[] = {"scheduler dies",
                                   "runner dies",
                                   "job's process dies",
                                   "element fails",
                                   "disconnected",
                                   "stopped for a lease",
                                   "said twice",
                                   "beat before the last words were read",
                                   "the user ends the session",
                                   "the user kills the run",
                                   "the user quits the run",
                                   "the user suspends the session",
                                   "transfer fails",
                                   "SIGTERM",
                                   "the operator drains",
                                   "the operator stops",
                                   "gives up"};
static_assert(std::size(kFaults) == static_cast<std::size_t>(Fault::kCount));

// What of a message decides what follows; no times.
void print_message(Text& out, const Host::Message& message, bool of_runner) {
  print(out, "{}(", message.name);
  const std::string& body = message.body;
  if (message.name == wire::RunnerHello::kName) {
    const auto hello = read<wire::RunnerHello>(body);
    print(out, "{} {} ", hello.hello.epoch, hello.connection);
    print_ids(out, hello.outbox);
    print_ids(out, hello.running);
    print_ids(out, hello.waiting);
    print(out, "{}", +hello.draining);
  } else if (message.name == wire::Results::kName) {
    for (const auto& result : read<wire::Results>(body).results) {
      print(out, result.id);
      print(out, "{}{}", text_of(result.status), result.error ? result.error->domain : "");
    }
  } else if (message.name == wire::Started::kName) {
    for (const auto& job : read<wire::Started>(body).jobs) print(out, job.id);
  } else if (message.name == wire::RunnerBeat::kName && of_runner) {
    const auto beat = read<wire::RunnerBeat>(body);
    print_ids(out, beat.running);
    print_ids(out, beat.outbox);
    print(out, "{}", +beat.suspended);
  } else if (message.name == wire::JobBatch::kName) {
    for (const auto& job : read<wire::JobBatch>(body).jobs) print(out, job.id);
  } else if (message.name == wire::Cancel::kName) {
    const auto cancel = read<wire::Cancel>(body);
    print_ids(out, cancel.jobs);
    print(out, "{}", +cancel.unstarted);
  } else if (message.name == wire::Drain::kName) {
    const auto drain = read<wire::Drain>(body);
    print_ids(out, drain.returned);
    print(out, "{}", +drain.now);
  } else if (message.name == wire::ResultAck::kName) {
    print_ids(out, read<wire::ResultAck>(body).jobs);
  } else if (message.name == wire::Welcome::kName) {
    const auto welcome = read<wire::Welcome>(body);
    print(out, "{} {} {}", welcome.epoch, welcome.peer_epoch, welcome.connection);
  } else if (message.name == wire::Refused::kName) {
    print(out, "{}", read<wire::Refused>(body).reason);
  }
  print(out, ")");
}

}  // namespace

std::string Action::str() const {
  if (kind != Kind::kFault)
    return fmt::format("{} {} {}", kKinds[static_cast<std::size_t>(kind)], runner, which);
  return fmt::format("FAULT {} {} {}", kFaults[static_cast<std::size_t>(fault)], runner, which);
}

std::string World::state() const {
  Text out;
  for (const auto left : setup_.faults) print(out, "{}", left);
  print(out, " {}{}{}{} ", +runner_wanted_, +ending_, +disturbed_, core_ != nullptr);
  if (core_) {
    print(out, "{} ", digest_of(*core_));
  } else {
    print(out, "{} ", model_at_death_);
  }
  for (const auto& [element, queue] : applied_) print(out, "{}{},", element, queue);
  print(out, ";");
  for (const auto& [id, open] : open_) print(out, "{}{}", +open.excused, +awaited(id));
  print(out, ";");
  for (const auto& [key, artifact] : store_.artifacts)
    print(out, "{}{} ", key.substr(0, 4), +artifact.success);
  for (const auto& host : hosts_) {
    print(out, "\n{} {}{}{}{} ", host->epoch, host->runner != nullptr, +host->frozen,
          +host->death_notice, +host->over);
    if (host->far)
      print(out, "{}{}{}{} ", +host->leaving, host->rests, +host->stopped, +awaited(*host));
    if (host->runner) print(out, "{}", jobs::RunnerState::text(*host->runner));
    for (const auto& result : host->disk) {
      print(out, result.id);
      print(out, "{}{}", text_of(result.status), result.error ? result.error->domain : "");
    }
    for (const auto& [id, process] : host->processes) {
      print(out, id);
      print(out, "{} ", +process.cancelled);
    }
    for (const auto& [id, verb] : host->transfers) {
      print(out, id);
      print(out, "{} ", static_cast<unsigned>(verb));
    }
    print(out, "{}>", host->published > host->acknowledged_upto);
    for (const auto& message : host->to_scheduler) print_message(out, message, true);
    print(out, "<");
    for (const auto& message : host->to_runner) print_message(out, message, false);
  }
  return fmt::to_string(out);
}

}  // namespace search
}  // namespace sluice
