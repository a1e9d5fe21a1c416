// The scheduler's end of the jobs link (spec/jobs.md): what runners say, leases.

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/log.h"
#include "scheduler/core.h"
#include "wire/hello.h"

namespace sluice::scheduler {

namespace {

// How far the clock of a runner may be ahead of ours for its times to be taken.
constexpr std::int64_t kClockSkew = 5'000'000'000;

// A text of somebody else's for a line: nothing in it but what can be printed, and not too much.
std::string said(std::string_view text) {
  std::string out(text.substr(0, 200));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

// Whether it can be a platform, a machine or a label: a word that can be printed, and no long one.
bool is_word(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return c > 0x20 && c < 0x7f && c != ',';
         });
}

// Whether it can be the name of a host, for people.
bool is_line(std::string_view text) {
  return text.size() <= 255 && std::all_of(text.begin(), text.end(),
                                           [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

// What of a HELLO's offer can't be; "" when nothing is wrong with it.
std::string_view wrong_offer(const wire::RunnerHello& hello) {
  constexpr std::size_t kMost = 64;
  const auto words = [](const std::vector<std::string>& list) {
    return list.size() <= kMost && std::all_of(list.begin(), list.end(), [](const auto& word) {
             return !word.empty() && is_word(word);
           });
  };
  if (!is_line(hello.host)) return "host";
  if (!is_word(hello.platform) || !words(hello.emulates)) return "platform";
  if (!words(hello.labels)) return "labels";
  return is_word(hello.machine) ? "" : "machine";
}

wire::RunnerSection section_of(const Runner& runner, std::string why = {}) {
  return {
      runner.instance, said(runner.host), said(runner.offer.machine), said(runner.offer.platform),
      runner.slots,    std::move(why)};
}

}  // namespace

void Core::on_message(const std::string& peer, const wire::Frames& frames) {
  take_message(peer, frames);
  drive();
}

void Core::take_message(const std::string& peer, const wire::Frames& frames) {
  if (changes_.broken()) return;
  if (wire::is_probe(frames)) return;
  if (frames.size() != 2) {
    ++malformed_;
    return;
  }
  const std::string& name = frames[0];
  const std::string& body = frames[1];
  if (name == wire::RunnerHello::kName) {
    on_hello(peer, body);
    return;
  }
  Runner* const runner = fleet_.at(peer);
  if (runner == nullptr) {
    if (ended() || ending_) {
      tell(peer, wire::Ending{options_.session});
    } else {
      tell(peer, wire::Refused{std::string(wire::kNoHello)});
    }
    return;
  }
  runner->heard = clock_.monotonic();
  const auto with = [&]<typename T>(T, auto&& handle) {
    auto message = wire::decode<T>(body);
    if (!message) {
      ++malformed_;
      log::warn("{} of {}: {}", T::kName, runner->instance, message.error().str());
      return;
    }
    handle(std::move(*message));
  };
  if (name == wire::Results::kName) {
    with(wire::Results{}, [&](wire::Results message) { on_results(*runner, std::move(message)); });
  } else if (name == wire::Started::kName) {
    with(wire::Started{}, [&](const wire::Started& message) { on_started(*runner, message); });
  } else if (name == wire::RunnerBeat::kName) {
    with(wire::RunnerBeat{}, [&](const wire::RunnerBeat& message) { on_beat(*runner, message); });
  } else if (name == wire::Suspend::kName) {
    fleet_.set_suspended(*runner, true);
    check_suspended(false);
  } else if (name == wire::Resume::kName) {
    fleet_.set_suspended(*runner, false);
  } else if (name == wire::JobLimits::kName) {
    with(wire::JobLimits{}, [&](const wire::JobLimits& message) {
      if (message.slots > 0) fleet_.set_slots(*runner, message.slots);
    });
  } else if (name == wire::Progress::kName) {
    with(wire::Progress{}, [&](const wire::Progress& message) { on_progress(*runner, message); });
  } else if (name == wire::Drain::kName) {
    with(wire::Drain{}, [&](const wire::Drain& message) { on_drain(*runner, message); });
  } else if (name == wire::Goodbye::kName) {
    with(wire::Goodbye{}, [&](const wire::Goodbye& message) { on_goodbye(*runner, message); });
  } else {
    ++malformed_;
  }
}

void Core::on_hello(const std::string& peer, const std::string& body) {
  auto hello = wire::decode<wire::RunnerHello>(body);
  if (!hello) {
    ++malformed_;
    return;
  }
  if (ending_ || ended()) return tell(peer, wire::Ending{options_.session});
  const std::string& instance = hello->hello.instance;
  const auto refuse = [&](std::string_view reason) {
    log::warn("runner {} is refused: {}", instance, reason);
    tell(peer, wire::Refused{std::string(reason)});
  };
  const std::string_view wrong = wire::wrong_hello(hello->hello, wire::kJobsProtocol, "runner");
  if (!wrong.empty()) return refuse(wrong);
  const Runner* const here = fleet_.at(peer);
  if (here != nullptr && here->instance != instance) return refuse("instance");
  if (hello->slots == 0 || hello->slots > 65536) return refuse("slots");
  if (const std::string_view offer = wrong_offer(*hello); !offer.empty()) return refuse(offer);
  const Runner* const earlier = fleet_.find(instance);
  if (earlier != nullptr && hello->hello.epoch < earlier->epoch) return refuse("stale-epoch");
  // A HELLO may arrive after the death of the process that said it.
  if (const std::uint64_t died = fleet_.died(instance); died != 0 && hello->hello.epoch <= died)
    return refuse("stale-epoch");
  if (const std::string skew = skew_of(*hello); !skew.empty()) return refuse(skew);

  // On the same connection nothing gets lost: what this HELLO does not list is on its way to the
  // runner, or back.
  const bool again = earlier != nullptr && hello->connection != 0 &&
                     hello->connection == earlier->connection &&
                     hello->hello.epoch == earlier->epoch;
  const bool joins = earlier == nullptr || earlier->epoch != hello->hello.epoch;
  const Duration now = clock_.monotonic();
  Runner& runner = fleet_.welcome(peer, *hello, now);
  if (joins && runner.offer.remote) {
    narrator_.runner_is(
        {.type = "runner.joined",
         .time = clock_.wall_ns(),
         .level = "info",
         .text = fmt::format("Runner {} joined: {}, {}, {} slots", instance, said(runner.host),
                             said(runner.offer.platform), runner.slots)},
        section_of(runner));
  }
  wire::Welcome welcome;
  welcome.session = options_.session;
  welcome.epoch = options_.epoch;
  welcome.heartbeat_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.heartbeat()).count());
  welcome.lease_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.lease).count());
  welcome.peer_epoch = hello->hello.epoch;
  welcome.connection = hello->connection;
  welcome.time = clock_.wall_ns();
  send(runner, welcome);
  if (suspended()) send(runner, wire::Suspend{});
  send_limits(runner);
  watching_.forget(instance);
  if (const auto away = sent_away_.find(instance); away != sent_away_.end()) {
    if (away->second.first != runner.epoch) {
      sent_away_.erase(away);
    } else {
      // What it was told may have been lost with its connection.
      fleet_.set_resting(runner, true);
      send(runner, wire::Drain{.why = "asked for", .now = away->second.second, .returned = {}});
    }
  }

  // J13: what it lists and we know goes on, the rest is cancelled.
  std::set<wire::JobId> listed(hello->running.begin(), hello->running.end());
  listed.insert(hello->waiting.begin(), hello->waiting.end());
  std::vector<wire::JobId> unknown;
  for (const wire::JobId& id : listed) {
    const Lease* const lease = fleet_.current(id, runner);
    if (lease == nullptr || lease->cancelled) unknown.push_back(id);
  }
  listed.insert(hello->outbox.begin(), hello->outbox.end());
  const std::set<wire::JobId> runs(hello->running.begin(), hello->running.end());
  std::vector<wire::JobId> unsaid, missing;
  for (auto& [job, lease] : runner.leases) {
    fleet_.renew(lease, now);
    if (!listed.contains(lease.id)) {
      if (!again) missing.push_back(lease.id);
      continue;
    }
    lease.state = lease.started ? Lease::State::kRunning : Lease::State::kGiven;
    if (!lease.started && runs.contains(lease.id)) unsaid.push_back(lease.id);
  }
  note_foreign(runner, unknown);
  note_foreign(runner, hello->outbox);
  if (!again) dispatcher_.still_wait(hello->waiting);
  dispatcher_.cancel(runner, unknown);
  for (const wire::JobId& id : unsaid) start(id, 0, runner);
  for (const wire::JobId& id : missing) dispatcher_.lose(id, "Its runner does not have it");
  // What the process had that was told to leave is gone with it; another one leaves when it is
  // told.
  if (runner.ended != runner.epoch) runner.ended = 0;
}

// An attempt is one runner's, for good: whoever else names it has guessed, or overheard.
void Core::note_foreign(const Runner& runner, const wire::JobId& id) {
  const auto found = model()->attempts.find(id.job);
  if (found == model()->attempts.end() || found->second.id != id ||
      found->second.runner == runner.instance)
    return;
  if (const std::uint64_t times = foreign_.note(runner.instance))
    log::warn(
        "runner {} speaks of job {} attempt {}, which is that of {}: ignored ({} times so far)",
        runner.instance, id.job, id.attempt, found->second.runner, times);
}

void Core::note_foreign(const Runner& runner, const std::vector<wire::JobId>& ids) {
  for (const wire::JobId& id : ids) note_foreign(runner, id);
}

void Core::start(const wire::JobId& id, std::uint32_t slot, const Runner& runner,
                 std::int64_t time) {
  // A runner's clock that wasn't set by ours says nothing (J79).
  const Stamp now = changes_.stamp();
  if (time < model()->began || time > now.time + kClockSkew) time = 0;
  (void)changes_.commit(AttemptStarted{now, id, slot, runner.host, runner.offer.machine, time});
}

void Core::on_started(Runner& runner, const wire::Started& message) {
  std::vector<wire::JobId> unknown;
  for (const wire::StartedJob& job : message.jobs) {
    Lease* const lease = fleet_.current(job.id, runner);
    if (lease == nullptr) {
      unknown.push_back(job.id);
      continue;
    }
    fleet_.renew(*lease, clock_.monotonic());
    if (lease->state == Lease::State::kInDoubt) lease->state = Lease::State::kRunning;
    if (!lease->started) start(job.id, job.slot, runner, job.time);
  }
  note_foreign(runner, unknown);
  dispatcher_.cancel(runner, unknown);
}

// Only of what the runner has in hand: all else is nothing that anybody is shown.
void Core::on_progress(Runner& runner, const wire::Progress& message) {
  for (const wire::JobProgress& progress : message.jobs) {
    if (fleet_.current(progress.id, runner) == nullptr) continue;
    watching_.take(progress);
    ++status_version_;
  }
}

void Core::watch(const wire::Watch& wanted) {
  watching_.want(wanted);
  if (!watching_.anything()) return;
  for (const auto& [peer, watch] : watching_.to_tell(*model(), fleet_)) tell(peer, watch);
  flush();
}

void Core::on_results(Runner& runner, wire::Results message) {
  wire::ResultAck acknowledged;
  for (wire::JobResult& result : message.results) {
    acknowledged.jobs.push_back(result.id);
    wire::limit_texts(result);
    const auto found = model()->attempts.find(result.id.job);
    if (found == model()->attempts.end() || found->second.id != result.id ||
        found->second.runner != runner.instance) {
      note_foreign(runner, result.id);
      continue;
    }
    const Attempt& attempt = found->second;
    // A job that was over before its STARTED came has started all the same.
    if (!attempt.started && !attempt.traits().brief && result.status != Outcome::kKilled)
      start(result.id, 0, runner);
    const std::string error = result.error ? result.error->message : std::string();
    dispatcher_.take_result(attempt, std::move(result), &runner);
    if (choice_.wants_quarantine(runner)) quarantine(runner, error);
  }
  // The acknowledgement is held back until the journal has the results (J27).
  send(runner, acknowledged);
}

void Core::on_beat(Runner& runner, const wire::RunnerBeat& message) {
  const Fleet::Heard heard = fleet_.beat(runner, message, clock_.monotonic());
  for (const wire::JobId& id : heard.started) start(id, 0, runner);
  note_foreign(runner, heard.unwanted);
  dispatcher_.cancel(runner, heard.unwanted);
  if (suspended() && message.suspended) {
    fleet_.set_suspended(runner, true);
    check_suspended(false);
  } else if (suspended()) {
    send(runner, wire::Suspend{});
  } else if (message.suspended) {
    send(runner, wire::Resume{});
  }
}

void Core::judge_leases() {
  const Duration now = clock_.monotonic();
  for (const auto& [runner, id] : fleet_.expired(now)) {
    log::warn("the lease of job {} attempt {} at {} has expired", id.job, id.attempt,
              runner->instance);
    dispatcher_.lose(
        id, fmt::format("Nothing was heard of it at {} for {} seconds", runner->instance,
                        std::chrono::duration_cast<std::chrono::seconds>(options_.lease).count()));
    if (runner->known) dispatcher_.cancel(*runner, {id});
  }
  // A runner that is silent gets no more jobs: it would lose them all again.
  fleet_.forget_silent(now, options_.forget());
}

// Limits that nobody has set aren't sent: runners take those of the settings in their jobs. Those
// from elsewhere have slots of their own, and aren't given more than the limits leave them.
void Core::send_limits(const Runner& runner) {
  if (runner.offer.remote) return;
  wire::JobLimits limits;
  limits.builders = model()->limits[static_cast<std::size_t>(Resource::kProcess)];
  limits.fetchers = model()->limits[static_cast<std::size_t>(Resource::kDownload)];
  if (limits.builders != 0 || limits.fetchers != 0) send(runner, limits);
}

// ---- Runners from elsewhere ------------------------------------------------------

std::string Core::skew_of(const wire::RunnerHello& hello) {
  if (!hello.remote || options_.allow_skew) return {};
  if (!fingerprint_) fingerprint_ = options_.fingerprint ? options_.fingerprint() : std::string();
  if (hello.fingerprint == *fingerprint_) return {};
  const auto named = [](const std::string& text) {
    return text.empty() ? std::string("no fingerprint") : said(text);
  };
  return fmt::format("skew: {} has {}, the session has {}", hello.hello.instance,
                     named(hello.fingerprint), named(*fingerprint_));
}

void Core::quarantine(Runner& runner, const std::string& last) {
  const std::string why = fmt::format("its {} {} jobs ended in errors, the last one with: {}",
                                      choice_.unproven(runner) ? "first" : "last", kFirstJobs,
                                      last.empty() ? "no message" : said(last));
  log::warn("runner {} gets no more jobs: {}", runner.instance, why);
  choice_.quarantine(runner, why);
  narrator_.runner_is({.type = "runner.quarantined",
                       .time = clock_.wall_ns(),
                       .level = "warn",
                       .text = fmt::format("Runner {} gets no more jobs", runner.instance),
                       .detail = why},
                      section_of(runner, why));
  dispatcher_.take_from(runner, "Its runner gets no more jobs: " + why);
}

void Core::on_drain(Runner& runner, const wire::Drain& message) {
  fleet_.set_resting(runner, true);
  for (const wire::JobId& id : message.returned) {
    const Lease* const lease = fleet_.current(id, runner);
    if (lease == nullptr) {
      note_foreign(runner, id);
      continue;
    }
    // What it has begun, or was told to end, ends there.
    if (!lease->started && !lease->cancelled)
      dispatcher_.give_back(id, "Its runner takes no more jobs: " + said(message.why));
  }
}

// What it leaves in hand is lost: nobody will say what became of it.
void Core::on_goodbye(Runner& runner, const wire::Goodbye& message) {
  const std::string why = message.why.empty() ? "It said goodbye" : said(message.why);
  std::vector<wire::JobId> left;
  for (const auto& [job, lease] : runner.leases) left.push_back(lease.id);
  for (const wire::JobId& id : left) dispatcher_.lose(id, "Its runner left: " + why);
  if (runner.offer.remote) goodbyes_[runner.instance] = why;
  sent_away_.erase(runner.instance);
  fleet_.dismiss(runner);
  check_suspended(false);
}

void Core::say_who_left() {
  for (const Runner* const runner : choice_.take_vanished()) {
    auto goodbye = goodbyes_.extract(runner->instance);
    const Duration silent = clock_.monotonic() - runner->heard;
    const std::string why =
        !goodbye.empty() ? std::move(goodbye.mapped())
        : silent < options_.lease
            ? "its connection is gone"
            : fmt::format("nothing was heard of it for {} seconds",
                          std::chrono::duration_cast<std::chrono::seconds>(silent).count());
    narrator_.runner_is({.type = "runner.left",
                         .time = clock_.wall_ns(),
                         .level = "info",
                         .text = fmt::format("Runner {} left: {}", runner->instance, why)},
                        section_of(*runner, why));
  }
}

wire::RunnerList Core::runners() const {
  wire::RunnerList list;
  for (const auto& [instance, runner] : fleet_.known())
    list.runners.push_back(choice_.info(*runner, clock_.monotonic()));
  return list;
}

Status Core::send_away(const std::string& name, bool now) {
  Runner* const runner = fleet_.find(name);
  if (runner == nullptr) {
    std::string others;
    std::size_t count = 0;
    for (const auto& [instance, other] : fleet_.known()) {
      if (!other->offer.remote || ++count > 8) continue;
      others += fmt::format("{}{}", others.empty() ? "" : ", ", instance);
    }
    if (count > 8) others += fmt::format(" and {} more", count - 8);
    return fail(
        "scheduler", "no-runner",
        fmt::format("There is no runner '{}'{}", said(name),
                    others.empty() ? ", and none from elsewhere" : ": there are " + others));
  }
  if (!runner->offer.remote)
    return fail("scheduler", "own-runner",
                fmt::format("Runner '{}' is the session's own, and ends with it", name));
  sent_away_[runner->instance] = {runner->epoch, now};
  if (now) fleet_.send_away(*runner);
  fleet_.set_resting(*runner, true);
  send(*runner, wire::Drain{.why = "asked for", .now = now, .returned = {}});
  drive();
  return {};
}

// J17: whoever connects again says HELLO, and what he has. Until then he would lose what he is
// given. What could not be sent has never left this process.
void Core::disconnected(const std::string& peer, const std::string& jobs) {
  if (const Runner* const runner = fleet_.at(peer))
    log::info("the connection of runner {} is gone", runner->instance);
  fleet_.disconnect(peer);
  if (!jobs.empty()) {
    const auto batch = wire::decode<wire::JobBatch>(jobs);
    for (std::size_t i = 0; batch && i < batch->jobs.size(); ++i) {
      const wire::JobId& id = batch->jobs[i].id;
      const auto attempt = model()->attempts.find(id.job);
      if (attempt != model()->attempts.end() && attempt->second.id == id)
        dispatcher_.give_back(id, "Its runner's connection was gone");
    }
  }
  check_suspended(false);
  drive();
}

// Its outbox has outlived it: what it had done is not lost. Its successor's HELLO says what is.
void Core::runner_died(const std::string& instance, std::uint64_t epoch) {
  fleet_.bury(instance, epoch, clock_.monotonic());
  check_suspended(false);
  drive();
}

}  // namespace sluice::scheduler
