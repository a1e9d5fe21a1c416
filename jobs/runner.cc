#include "jobs/runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/tail.h"
#include "base/try.h"
#include "jobs/inputs.h"
#include "model/names.h"
#include "wire/snapshot.h"

namespace sluice::jobs {

namespace {

constexpr unsigned kSilentBeats = 5;
constexpr std::int64_t kClockNoise = 2'000'000'000;
// The scheduler's beats are answered, and may be rarer than the runner's interval. When none has
// come for so many of these the runner beats by itself.
constexpr unsigned kAnsweredBeats = 3;

// The context as it came, without its job section, which the runner writes itself.
struct Context {
  std::string rest;
  wire::JobSection job;
};

Context split_context(const std::string& packed) {
  Context out;
  const auto document = wire::Document::parse(packed);
  if (!document || !document->root().is_map()) {
    wire::Writer(out.rest).map(0);
    return out;
  }
  std::string entries;
  std::size_t count = 0;
  wire::Writer writer(entries);
  for (const auto& [name, value] : document->root().entries()) {
    std::string_view key;
    if (!name.get_string(key)) continue;
    if (key == "job") {
      if (auto section = wire::decode<wire::JobSection>(value.packed()))
        out.job = std::move(*section);
      continue;
    }
    writer.string(key);
    writer.raw(value.packed());
    ++count;
  }
  wire::Writer(out.rest).map(count);
  out.rest += entries;
  return out;
}

// Whether the action does nothing, and so is done as soon as it is its turn.
bool empty(const wire::Job& job) { return job.action == model::Action::kEmpty; }
// Whether the action starts a program without a sandbox, a log or anything else.
bool spawns(const wire::Job& job) { return job.action == model::Action::kSpawn; }
// The number of results of spawned programs that come together, while more of them run, before they
// are said: a message each would cost more than starting the program. As many again are in the
// runner's hands then.
constexpr std::size_t kBriefResults = 8;
// Bytes of texts after which a RESULT is sent: the scheduler takes no longer one (J101).
constexpr std::size_t kManyTexts = std::size_t{1} << 20;
std::uint32_t limit_in(const model::Settings& settings, model::Resource resource) {
  switch (resource) {
    case model::Resource::kDownload: return settings.fetchers;
    case model::Resource::kUpload: return settings.pushers;
    case model::Resource::kProcess:
    case model::Resource::kRunner: break;
  }
  return settings.builders;
}

}  // namespace

Runner::Runner(const Clock& clock, RunnerOutputs& outputs, Outbox outbox, RunnerOptions options)
    : clock_(clock), outputs_(outputs), outbox_(std::move(outbox)), options_(std::move(options)),
      heard_at_(clock.monotonic()) {
  // Results in the outbox now were left by a predecessor, whose records are the broker's or lost
  // with it.
  for (const auto& [id, result] : outbox_.results()) ready_.push_back(id);
  busy_at_ = now();
}

Duration Runner::now() const { return clock_.monotonic(); }

void Runner::on_connected() {
  ++connection_;
  greeted_ = false;
  say_hello();
}

void Runner::say_hello() {
  wire::RunnerHello hello = options_.offer;
  hello.hello = options_.hello;
  hello.draining = draining_;
  if (options_.leaves_at)
    hello.remaining_s = static_cast<std::uint32_t>(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::seconds>(*options_.leaves_at - now()).count()));
  hello.host = options_.host;
  hello.slots = options_.slots;
  for (const auto& [id, job] : running_) hello.running.push_back(id);
  for (const auto& waiting : waiting_) hello.waiting.push_back(waiting.job.id);
  for (const auto& [id, result] : outbox_.results()) hello.outbox.push_back(id);
  hello.connection = connection_;
  hello.remote = hello.remote || options_.place.has_value();
  hello.processors = options_.processors;
  silent_beats_ = 0;
  greeting_.said();
  outputs_.send(wire::RunnerHello::kName, wire::encode(hello));
}

void Runner::on_message(std::string_view name, std::string_view body) {
  silent_beats_ = 0;
  heard_at_ = now();
  const auto with = [&]<typename T>(auto&& handle, const T*) {
    auto message = wire::decode<T>(body);
    if (message) {
      handle(*message);
    } else {
      ++malformed_;
    }
  };
  if (name == wire::JobBatch::kName) {
    on_jobs(body);
  } else if (name == wire::ResultAck::kName) {
    with(
        [&](const wire::ResultAck& ack) {
          for (const auto& id : ack.jobs) records_of_.erase(id);
          if (auto forgotten = outbox_.forget(ack.jobs); !forgotten)
            log::error("{}", forgotten.error().str());
        },
        static_cast<wire::ResultAck*>(nullptr));
  } else if (name == wire::Cancel::kName) {
    with([&](const wire::Cancel& cancel) { on_cancel(cancel); },
         static_cast<wire::Cancel*>(nullptr));
  } else if (name == wire::Heartbeat::kName) {
    if (ending_ || !greeting_.welcomed()) return;
    answered_beats_ = kAnsweredBeats;
    say_beat();
  } else if (name == wire::Welcome::kName) {
    with(
        [&](const wire::Welcome& welcome) {
          // This answers a HELLO of an earlier connection, or of this runner's predecessor.
          if (welcome.connection != connection_ || welcome.peer_epoch != options_.hello.epoch)
            return;
          greeted_ = true;
          greeting_.answered();
          heartbeat_ms_ = std::clamp<std::uint32_t>(welcome.heartbeat_ms, 10, 60000);
          set_clock(welcome.time);
          outputs_.on_watched(progress_.watch({}));  // another scheduler says so anew
          ready_.clear();
          for (const auto& [id, result] : outbox_.results()) ready_.push_back(id);
          send_ready();
          say_drain();
          pump();
        },
        static_cast<wire::Welcome*>(nullptr));
  } else if (name == wire::Suspend::kName) {
    if (!suspended_) {
      suspended_ = true;
      suspended_at_ = now();
      if (auto frozen = outputs_.freeze(); !frozen) log::warn("{}", frozen.error().str());
    }
    outputs_.send(wire::Suspend::kName, wire::encode(wire::Suspend{}));
  } else if (name == wire::Resume::kName) {
    if (suspended_) {
      suspended_ = false;
      for (auto& [id, job] : running_) job.paused += now() - suspended_at_;
      busy_at_ = now();
      outputs_.thaw();
    }
    begin_fetched();
    outputs_.send(wire::Resume::kName, wire::encode(wire::Resume{}));
    pump();
  } else if (name == wire::JobLimits::kName) {
    with(
        [&](const wire::JobLimits& limits) {
          limits_ = limits;
          if (limits_.builders != 0) options_.slots = limits_.builders;
          outputs_.send(
              wire::JobLimits::kName,
              wire::encode(wire::JobLimits{limits_.builders, limits_.fetchers, options_.slots}));
          pump();
        },
        static_cast<wire::JobLimits*>(nullptr));
  } else if (name == wire::Watch::kName) {
    with([&](const wire::Watch& watch) { outputs_.on_watched(progress_.watch(watch)); },
         static_cast<wire::Watch*>(nullptr));
  } else if (name == wire::Drain::kName) {
    with(
        [&](const wire::Drain& asked) {
          drain(asked.why);
          told_to_leave_ = told_to_leave_ || asked.now;
        },
        static_cast<wire::Drain*>(nullptr));
  } else if (name == wire::Ending::kName) {
    end(std::chrono::seconds(2));
  } else if (name == wire::Refused::kName) {
    with(
        [&](const wire::Refused& refused) {
          // A stale refusal is of something that was said before a HELLO that is on its way.
          const auto refusal = greeting_.refused(refused);
          if (refusal == wire::Greeting::Refusal::kStale) return;
          if (refusal == wire::Greeting::Refusal::kSayAgain) return say_hello();
          log::error("the scheduler refused this runner: {}", refused.reason);
          refused_ = true;
          refusal_ = refused.reason;
        },
        static_cast<wire::Refused*>(nullptr));
  } else {
    ++malformed_;
  }
}

void Runner::on_jobs(std::string_view body) {
  auto batch = wire::decode<wire::JobBatch>(body);
  if (!batch) {
    ++malformed_;
    log::error("a JOB can't be read: {}", batch.error().str());
    return;
  }
  // Jobs that come before WELCOME were given before the scheduler read this connection's HELLO; it
  // will take them for lost.
  if (ending_ || !greeted_) return;
  if (draining_) {
    // They were given before the scheduler read that nothing more is taken.
    for (const wire::Job& job : batch->jobs) returned_.push_back(job.id);
    drain_unsaid_ = true;
    return say_drain();
  }
  for (wire::Job& job : batch->jobs) {
    const bool known = running_.count(job.id) > 0 || outbox_.has(job.id) ||
                       std::any_of(waiting_.begin(), waiting_.end(),
                                   [&](const Waiting& w) { return w.job.id == job.id; });
    if (known) continue;
    Waiting waiting;
    if (empty(job) || spawns(job)) {
      waiting.limit = options_.slots;
      waiting.job = std::move(job);
      waiting_.push_back(std::move(waiting));
      continue;
    }
    auto settings = wire::unpack_settings(job.settings.bytes);
    if (!settings) {
      wire::JobResult result;
      result.id = job.id;
      result.status = model::Outcome::kError;
      result.error = wire::ErrorBody::from(settings.error());
      finish(job.id, std::move(result), 0);
      continue;
    }
    waiting.logdir = settings->logdir;
    waiting.tail_lines = settings->error_lines;
    if (options_.place) {
      if (std::string why = why_not_here(job); !why.empty()) {
        wire::JobResult result;
        result.id = job.id;
        result.status = model::Outcome::kError;
        result.error = wire::ErrorBody{"remote", "not-here", std::move(why)};
        finish(job.id, std::move(result), 0);
        continue;
      }
      take_place(*settings);
      job.settings.bytes = wire::pack_settings(*settings);
      waiting.travels = true;
    }
    waiting.limit = std::max(1u, limit_in(*settings, model::traits(job.action).resource));
    if (settings->jobserver && model::traits(job.action).needs == model::Needs::kInputs)
      waiting.tokens = std::max({settings->max_jobs, options_.processors, 1u});
    waiting.limits_memory = settings->max_memory > 0;
    waiting.builddir = settings->builddir;
    waiting.cachedir = settings->cachedir;
    waiting.job = std::move(job);
    waiting_.push_back(std::move(waiting));
  }
  pump();
}

std::uint32_t Runner::used(model::Resource resource) const {
  return static_cast<std::uint32_t>(
      std::count_if(running_.begin(), running_.end(), [&](const auto& entry) {
        return entry.second.resource == resource && !entry.second.result;
      }));
}

std::uint32_t Runner::limit_of(const Waiting& waiting) const {
  const model::Resource resource = model::traits(waiting.job.action).resource;
  const std::uint32_t said = resource == model::Resource::kUpload     ? 0
                             : resource == model::Resource::kDownload ? limits_.fetchers
                                                                      : limits_.builders;
  return said != 0 ? said : waiting.limit;
}

std::uint32_t Runner::free_slot() const {
  for (std::uint32_t slot = 0;; ++slot) {
    if (std::none_of(running_.begin(), running_.end(),
                     [&](const auto& entry) { return entry.second.slot == slot; }))
      return slot;
  }
}

void Runner::pump() {
  if (suspended_ || ending_) return;
  wire::Started started;
  std::vector<wire::JobResult> done;
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    if (empty(waiting->job)) {
      wire::JobResult& result = done.emplace_back();
      result.id = waiting->job.id;
      result.status = model::Outcome::kSuccess;
      waiting = waiting_.erase(waiting);
      continue;
    }
    if (used(model::traits(waiting->job.action).resource) >= limit_of(*waiting)) {
      ++waiting;
      continue;
    }
    const wire::JobId id = waiting->job.id;
    if (auto begun = start(*waiting); begun) {
      const Running& job = running_.at(id);
      if (!job.brief) started.jobs.push_back({id, job.slot, job.section.started});
    } else {
      wire::JobResult result;
      result.id = id;
      result.status = model::Outcome::kError;
      result.error = wire::ErrorBody::from(begun.error());
      if (waiting->travels) blame_machine(*result.error);
      finish(id, std::move(result), 0);
    }
    waiting = waiting_.erase(waiting);
  }
  if (!started.jobs.empty()) outputs_.send(wire::Started::kName, wire::encode(started));
  if (!done.empty()) finish(std::move(done));
  prefetch_next();
}

Status Runner::start(Waiting& waiting) {
  if (spawns(waiting.job)) {
    Running job;
    job.resource = model::traits(waiting.job.action).resource;
    job.brief = true;
    job.slot = free_slot();
    job.started = now();
    JobStart start;
    start.job.id = waiting.job.id;
    start.job.action = waiting.job.action;
    CHECK(outputs_.start(start));
    running_.emplace(start.job.id, std::move(job));
    return {};
  }
  auto root = TRY(outputs_.scratch_root(waiting.builddir));
  Context context = split_context(waiting.job.context.bytes);
  Running job;
  job.section = std::move(context.job);
  job.ticket = std::move(waiting.job.ticket);
  job.context = std::move(context.rest);
  job.section.id = waiting.job.id.job;
  job.section.attempt = waiting.job.id.attempt;
  job.section.action = text_of(waiting.job.action);
  job.section.runner = options_.hello.instance;
  job.section.host = options_.host;
  job.section.slot = job.slot = free_slot();
  job.section.started = clock_.wall_ns() + clock_offset_;
  job.section.log_file =
      waiting.job.log_file.empty() ? "" : waiting.logdir + "/" + waiting.job.log_file;
  job.log_path = job.section.log_file;
  if (waiting.travels && !job.log_path.empty())
    job.log_path = options_.place->logdir + "/" + waiting.job.log_file;
  job.resource = model::traits(waiting.job.action).resource;
  job.started = now();
  job.travels = waiting.travels;
  job.tail_lines = waiting.tail_lines;
  job.fetched = waiting.fetched;
  job.storage_fetched = waiting.storage_fetched;
  JobStart start;
  start.job = std::move(waiting.job);
  start.job.context.bytes.clear();  // the process needs no context
  start.scratch = fmt::format("{}/slot-{}", root, job.slot);
  start.cachedir = waiting.cachedir;
  start.tokens = waiting.tokens;
  start.limits_memory = waiting.limits_memory;
  if (waiting.travels) {
    // The slot is taken while the inputs come: the job has started (J80).
    const wire::JobId id = start.job.id;
    auto inputs = inputs_of(start.job);
    start.job.inputs.clear();
    job.phase = Running::Phase::kFetches;
    job.start = std::move(start);
    running_.emplace(id, std::move(job));
    outputs_.fetch(id, std::move(inputs));
    return {};
  }
  if (auto begun = outputs_.start(start); !begun) {
    waiting.job = std::move(start.job);
    return begun;
  }
  running_.emplace(start.job.id, std::move(job));
  return {};
}

void Runner::on_job_event(const wire::JobId& id, const JobEvent& event) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& job = found->second;
  if (event.kind == "result" && event.result) {
    job.result = *event.result;
    job.result->id = id;
    return pump();  // the slot is free; only the cleaning up is left
  }
  if (event.kind != "message") return;
  job.steps.note(event.level, event.text);
  say(job, event);
}

void Runner::say(Running& job, const JobEvent& event) {
  job.section.elapsed = (now() - job.started - job.paused).count();
  const std::string section = wire::pack_section("job", job.section);
  wire::EventHead head;
  head.type = "job.message";
  head.time = event.time + clock_offset_;
  head.level = event.level;
  head.text = event.text;
  head.detail = event.detail;
  head.elapsed = event.elapsed;
  job.last_record =
      outputs_.publish("job.message", wire::pack_event(head, {job.context, section}), job.ticket);
}

void Runner::on_job_end(const wire::JobId& id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  if (!found->second.brief) outputs_.on_log_end(id, found->second.log());
  if (found->second.travels && found->second.result &&
      found->second.result->status != model::Outcome::kKilled) {
    upload(id, found->second);
    return pump();
  }
  Running job = std::move(found->second);
  running_.erase(found);
  wire::JobResult result;
  if (job.result) {
    result = std::move(*job.result);
  } else {
    result.id = id;
    result.elapsed = (now() - job.started - job.paused).count();
    result.log_file = job.section.log_file;
    // The process was killed. When the scheduler didn't ask for it, the job is lost and given out
    // again (J42).
    result.status = model::Outcome::kKilled;
    result.error = job.cancelled
                       ? wire::ErrorBody{"job", "killed", "The job was killed"}
                       : wire::ErrorBody{"job", "job-died", "The process of the job died"};
  }
  if (job.travels) {
    // Nobody fetches the log of what was killed; its end is all that is said of it.
    result.log_file = job.section.log_file;
    result.log_tail = tail_of(job.log_path, job.tail_lines);
    result.fetched = job.fetched;
    result.storage_fetched = job.storage_fetched;
    if (!job.log_path.empty()) ::unlink(job.log_path.c_str());
  }
  if (!job.brief || result.status != model::Outcome::kSuccess) {
    finish(id, std::move(result), job.last_record);
    return pump();
  }
  keep({std::move(result)});
  pump();
  const bool more = std::any_of(running_.begin(), running_.end(),
                                [](const auto& entry) { return entry.second.brief; });
  if (!more || ready_.size() >= kBriefResults) send_ready();
}

void Runner::finish(const wire::JobId& id, wire::JobResult result, std::uint64_t record) {
  records_of_[id] = record;
  std::vector<wire::JobResult> one;
  one.push_back(std::move(result));
  finish(std::move(one));
}

void Runner::finish(std::vector<wire::JobResult> results) {
  keep(std::move(results));
  send_ready();
}

void Runner::keep(std::vector<wire::JobResult> results) {
  for (wire::JobResult& result : results) {
    wire::limit_texts(result);
    ready_.push_back(result.id);
  }
  busy_at_ = now();
  if (auto kept = outbox_.add(std::move(results)); !kept)
    log::error("the outbox can't be written: {}", kept.error().str());
}

// Sends the results whose records the broker has, in one RESULT unless their texts are long.
void Runner::send_ready() {
  if (!greeting_.welcomed() || ready_.empty()) return;
  const std::uint64_t acknowledged = outputs_.acknowledged();
  wire::Results results;
  std::size_t texts = 0;
  const auto send = [&] {
    if (!results.results.empty()) outputs_.send(wire::Results::kName, wire::encode(results));
    results.results.clear();
    texts = 0;
  };
  for (auto ready = ready_.begin(); ready != ready_.end();) {
    const auto record = records_of_.find(*ready);
    if (record != records_of_.end() && record->second > acknowledged) {
      ++ready;
      continue;
    }
    if (const auto result = outbox_.results().find(*ready); result != outbox_.results().end()) {
      results.results.push_back(result->second);
      texts += wire::text_bytes(result->second);
    }
    ready = ready_.erase(ready);
    if (texts > kManyTexts) send();
  }
  send();
}

void Runner::on_acknowledged() { send_ready(); }

void Runner::on_cancel(const wire::Cancel& cancel) {
  for (const wire::JobId& id : cancel.jobs) {
    if (const auto found = running_.find(id); found != running_.end()) {
      if (cancel.unstarted) continue;
      found->second.cancelled = true;
      if (found->second.phase != Running::Phase::kRuns) {
        outputs_.cancel_transfers(id);
        end_without_process(id, model::Outcome::kKilled,
                            wire::ErrorBody{"job", "killed", "The job was killed"});
        continue;
      }
      outputs_.cancel(id, std::chrono::milliseconds(cancel.grace_ms));
      continue;
    }
    const auto waiting = std::find_if(waiting_.begin(), waiting_.end(),
                                      [&](const Waiting& w) { return w.job.id == id; });
    if (waiting == waiting_.end()) continue;
    if (waiting->prefetched) outputs_.cancel_transfers(id);
    waiting_.erase(waiting);
    wire::JobResult result;
    result.id = id;
    result.status = model::Outcome::kKilled;
    result.error = wire::ErrorBody{"job", "killed", "The job was killed before it started"};
    finish(id, std::move(result), 0);
  }
  pump();
}

void Runner::drain(std::string why) {
  if (draining_ || ending_) return;
  draining_ = true;
  drain_why_ = std::move(why);
  log::info("this runner takes no more jobs: {}", drain_why_);
  for (const Waiting& waiting : waiting_) {
    returned_.push_back(waiting.job.id);
    if (waiting.prefetched) outputs_.cancel_transfers(waiting.job.id);
  }
  waiting_.clear();
  drain_unsaid_ = true;
  say_drain();
}

// A HELLO that is under way says that they wait here: then DRAIN follows its answer.
void Runner::say_drain() {
  if (!greeting_.welcomed() || !std::exchange(drain_unsaid_, false)) return;
  wire::Drain drain{drain_why_};
  drain.returned = std::exchange(returned_, {});
  outputs_.send(wire::Drain::kName, wire::encode(drain));
}

bool Runner::leave_if_drained() {
  if (!draining_ || !running_.empty() || !outbox_.results().empty()) return false;
  outputs_.send(wire::Goodbye::kName, wire::encode(wire::Goodbye{drain_why_}));
  return true;
}

Duration Runner::idle_for() const {
  return running_.empty() && waiting_.empty() && !suspended_ ? now() - busy_at_ : Duration::zero();
}

void Runner::on_beat() {
  if (!running_.empty() || !waiting_.empty()) busy_at_ = now();
  if (ending_) return;
  if (!greeting_.welcomed()) {
    // A HELLO may have gone to a scheduler that was not there yet.
    if (++silent_beats_ >= 2) say_hello();
    return;
  }
  if (++silent_beats_ > kSilentBeats) return say_hello();
  if (answered_beats_ > 0) {
    --answered_beats_;
  } else {
    say_beat();
  }
}

// The times in this machine's messages are the session's. What lies within the time that a message
// may travel is no difference of clocks.
void Runner::set_clock(std::int64_t session) {
  const std::int64_t offset = session <= 0 ? 0 : session - clock_.wall_ns();
  clock_offset_ = std::abs(offset) < kClockNoise ? 0 : offset;
}

void Runner::say_progress() {
  if (!greeting_.welcomed() || !progress_.watching()) return;
  std::vector<ProgressTeller::Job> jobs;
  for (const auto& [id, job] : running_) {
    if (job.brief) continue;
    const std::string step = job.phase == Running::Phase::kUploads ? "Uploading what was made"
                             : job.phase == Running::Phase::kRuns  ? job.steps.current()
                                                                   : "Fetching what is needed";
    jobs.push_back({id, step, job.log_path});
  }
  if (const auto news = progress_.news(jobs))
    outputs_.send(wire::Progress::kName, wire::encode(*news));
}

void Runner::say_beat() {
  wire::RunnerBeat beat;
  for (const auto& [id, job] : running_) beat.running.push_back(id);
  beat.suspended = suspended_;
  for (const auto& [id, result] : outbox_.results()) beat.outbox.push_back(id);
  outputs_.send(wire::RunnerBeat::kName, wire::encode(beat));
}

void Runner::end(Duration grace) {
  if (ending_) return;
  ending_ = true;
  waiting_.clear();
  std::vector<wire::JobId> transfers;
  for (auto& [id, job] : running_) {
    job.cancelled = true;
    if (job.phase == Running::Phase::kRuns) {
      outputs_.cancel(id, grace);
    } else {
      transfers.push_back(id);
    }
  }
  for (const wire::JobId& id : transfers) {
    outputs_.cancel_transfers(id);
    end_without_process(id, model::Outcome::kKilled,
                        wire::ErrorBody{"job", "killed", "The job was killed"});
  }
}

}  // namespace sluice::jobs
