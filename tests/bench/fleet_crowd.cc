// A session's real scheduler and broker, with all runners of a fleet in this process: they join all
// at once, are idle, and work while a part of them leaves and comes again.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <queue>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "brief_run.h"
#include "fleet_bench.h"
#include "fleet_loop.h"
#include "fleet_runner.h"
#include "sandbox/fingerprint.h"
#include "sandbox/platform.h"
#include "wire/events.h"
#include "wire/joined.h"
#include "wire/session.h"

namespace sluice::bench {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kJoinDeadline = seconds(120);
// Descriptors for each: four sockets and their signals, its outbox.
constexpr rlim_t kDescriptors = 9;
constexpr int kIoThreads = 2;
// What joining has left to do for the others is over then.
constexpr Duration kSettles = seconds(3);
// How long one that has left stays away.
constexpr Duration kAway = seconds(1);

Duration now() { return system_clock().monotonic(); }
double in_seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

// Processor time of a process, with all its threads and those that have ended.
class ProcessorTime {
 public:
  explicit ProcessorTime(int process) {
    if (::clock_getcpuclockid(process, &clock_) != 0) die(fmt::format("no process {}", process));
  }
  Duration spent() const {
    timespec time{};
    if (::clock_gettime(clock_, &time) != 0) die("a process of the session has ended");
    return seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

 private:
  clockid_t clock_{};
};

void allow_descriptors(std::uint32_t runners) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const rlim_t needed = kDescriptors * runners + 100;
  if (files.rlim_cur < needed)
    die(fmt::format("{} descriptors are needed (ulimit -n), {} may be had", needed,
                    files.rlim_cur));
}

wire::JoinTicket read_join_file(const std::string& path) {
  const auto text = read_file(path);
  if (!text) die(text.error().str());
  const auto json = nlohmann::json::parse(*text);
  wire::JoinTicket ticket;
  ticket.session = json.at("session");
  ticket.role = json.at("role");
  ticket.host = json.at("host");
  ticket.server_key = json.at("server-key");
  ticket.enrolment.public_key = json.at("enrolment-public-key");
  ticket.enrolment.secret_key = json.at("enrolment-secret-key");
  for (const auto& [name, port] : json.at("ports").items()) ticket.ports.emplace_back(name, port);
  return ticket;
}

class Crowd {
 public:
  explicit Crowd(const CrowdPlan& plan)
      : plan_(plan), scheduler_(plan.scheduler), broker_(plan.broker) {
    auto paths = wire::SessionPaths::of(plan.session);
    if (!paths) die(paths.error().str());
    paths_ = std::move(*paths);
    if (!plan.join_file.empty()) ticket_ = read_join_file(plan.join_file);
    offer_.platform = sandbox::host_platform();
    if (ticket_) offer_.fingerprint = sandbox::build_fingerprint();
    const int sockets = static_cast<int>(4 * plan.runners + 100);
    if (zmq_ctx_set(context_.handle(), ZMQ_MAX_SOCKETS, sockets) != 0) die("ZMQ_MAX_SOCKETS");
    // Real runners make their keys and their handshakes each on a machine of its own.
    if (zmq_ctx_set(context_.handle(), ZMQ_IO_THREADS, kIoThreads) != 0) die("ZMQ_IO_THREADS");
    places_.resize(plan.runners);
  }

  // Returns when all are welcomed. The time that it takes begins when they begin to connect, with
  // keys of their own at hand.
  Duration join() {
    for (Place& place : places_) place.joined = new_keys();
    const Duration began = now();
    for (std::size_t i = 0; i < places_.size(); ++i) come(i);
    std::size_t welcomed = 0;
    while (welcomed < places_.size()) {
      turn();
      while (welcomed < places_.size() && places_[welcomed].runner->welcomed()) ++welcomed;
      if (now() > began + kJoinDeadline) {
        const auto missing = std::count_if(places_.begin(), places_.end(), [](const Place& place) {
          return !place.runner->welcomed();
        });
        const auto enrolled = std::count_if(places_.begin(), places_.end(), [](const Place& place) {
          return place.joined && !place.joined->name.empty();
        });
        die(fmt::format("after {} seconds {} of {} runners are not welcomed, {} were enrolled",
                        in_seconds(kJoinDeadline), missing, places_.size(), enrolled));
      }
    }
    return now() - began;
  }

  // What heartbeats alone cost.
  void idle(CrowdCosts& costs) {
    turn_for(kSettles);
    const Duration scheduler = scheduler_.spent(), broker = broker_.spent(), began = now();
    const Heard before = heard();
    turn_for(seconds(plan_.idle_seconds));
    const Duration took = now() - began;
    costs.scheduler_idle = 100 * in_seconds(scheduler_.spent() - scheduler) / in_seconds(took);
    costs.broker_idle = 100 * in_seconds(broker_.spent() - broker) / in_seconds(took);
    const Heard after = heard();
    // Many are asked each second interval alone (spec/jobs.md, Heartbeats). Nobody was left without
    // a word, nor had to say HELLO again.
    if (after.hellos != before.hellos) die("idle runners have said HELLO");
    const auto least =
        static_cast<std::uint64_t>(static_cast<double>(places_.size()) * in_seconds(took) /
                                   in_seconds(longest_interval()) / 4);
    // The broker asks publishers in each fifth beat, and all that came together then
    // (spec/records.md, R30).
    const std::uint64_t least_of_broker = plan_.idle_seconds >= 6 ? least / 5 : 0;
    if (after.scheduler - before.scheduler < least ||
        after.broker - before.broker < least_of_broker) {
      die(fmt::format("{} and {} heartbeats came, and {} and {} at least were to be",
                      after.scheduler - before.scheduler, after.broker - before.broker, least,
                      least_of_broker));
    }
  }

  void work(CrowdCosts& costs) {
    BriefRun run;
    run.verb = "empty";
    run.snapshot = plan_.directory + "/snapshot";
    run.count = plan_.jobs;
    if (auto written = write_brief_snapshot(run.snapshot, run.count, plan_.slots); !written)
      die(written.error().str());
    // What the client thread tells; it is read when that has ended, but for `over` and `accepted`.
    std::atomic<bool> accepted{false}, over{false};
    std::uint64_t full_events = 0;
    // As long as there were jobs to be given.
    std::uint64_t done = 0;
    std::int64_t done_after = 0;
    Result<std::int64_t> result = fail("bench", "run", "it never ended");
    run.on_accepted = [&] { accepted = true; };
    run.on_full_status = [&](std::string_view packed) {
      const auto event = wire::decode_event(packed);
      if (!event || event->type != "status") die("a status/full/ event can't be read");
      ++full_events;
      if (!event->run || !event->queues || event->queues->empty()) return;
      const auto& queue = event->queues->front();
      if (queue.waiting == 0) return;
      done = queue.processed;
      done_after = event->run->elapsed;
    };
    std::thread client([&] {
      result = do_brief_run(paths_, run);
      over = true;
    });
    while (!accepted && !over) turn();
    const Duration scheduler = scheduler_.spent(), broker = broker_.spent(), began = now();
    Duration leaves = began;
    const Duration between = plan_.churn > 0
                                 ? Duration(static_cast<std::int64_t>(
                                       1e9 / (plan_.churn * static_cast<double>(places_.size()))))
                                 : Duration::max();
    while (!over) {
      turn();
      if (plan_.churn <= 0) continue;
      for (; leaves < now(); leaves += between) {
        leave();
        ++costs.left;
      }
    }
    const Duration took = now() - began;
    const Duration spent = scheduler_.spent() - scheduler;
    costs.broker_work = 100 * in_seconds(broker_.spent() - broker) / in_seconds(took);
    client.join();
    if (!result) die(result.error().str());
    const double jobs = static_cast<double>(plan_.jobs);
    // The end of the run waits for leases of those who have left for good. It counts where all was
    // over too soon for an event in between.
    costs.all_done_seconds = static_cast<double>(*result) / 1e9;
    costs.jobs_per_second = done != 0
                                ? static_cast<double>(done) * 1e9 / static_cast<double>(done_after)
                                : jobs / costs.all_done_seconds;
    costs.scheduler_job_us = in_seconds(spent) * 1e6 / jobs;
    costs.full_events = full_events;
    if (in_seconds(took) > 3 && static_cast<double>(full_events) < in_seconds(took) / 3)
      die(fmt::format("{} status/full/ events came in {} seconds", full_events, in_seconds(took)));
  }

 private:
  struct Place {
    std::unique_ptr<CrowdRunner> runner;  // null: it is away
    std::shared_ptr<wire::Joined> joined;
    std::uint64_t epoch = 0;
  };
  struct Due {
    Duration when;
    std::size_t place;
    std::uint64_t epoch;  // 0: one that is away is to come
    bool operator>(const Due& other) const { return when > other.when; }
  };
  struct Heard {
    std::uint64_t scheduler = 0, broker = 0, hellos = 0;
  };

  // Null where the session is joined by ipc.
  std::shared_ptr<wire::Joined> new_keys() const {
    if (!ticket_) return nullptr;
    auto keys = wire::make_curve_keys();
    if (!keys) die(keys.error().str());
    auto joined = std::make_shared<wire::Joined>();
    joined->ticket = *ticket_;
    joined->keys = std::move(*keys);
    return joined;
  }

  void come(std::size_t i) {
    Place& place = places_[i];
    ++place.epoch;
    CrowdRunner::Settings settings;
    settings.instance = fmt::format("crowd-{}", i);
    settings.epoch = place.epoch;
    settings.slots = plan_.slots;
    settings.outbox = outbox_of(i);
    settings.offer = offer_;
    settings.offer.machine = fmt::format("machine-{}", i);
    settings.joined = place.joined;
    place.runner = std::make_unique<CrowdRunner>(context_, loop_, paths_, std::move(settings));
    // Beats are spread as those of runners that were started by themselves.
    due_.push({now() + seconds(1) * static_cast<std::int64_t>(i) /
                           static_cast<std::int64_t>(places_.size()),
               i, place.epoch});
  }

  std::string outbox_of(std::size_t i) const {
    return fmt::format("{}/outbox-{}", plan_.directory, i);
  }

  // As a machine that was taken away: without a word, and with what it had done.
  void leave() {
    for (std::size_t tried = 0; tried < places_.size(); ++tried) {
      next_ = (next_ + 1) % places_.size();
      if (!places_[next_].runner || !places_[next_].runner->welcomed()) continue;
      places_[next_].runner.reset();
      ::unlink(outbox_of(next_).c_str());
      // Every second one that comes is one that was never there.
      if (next_ % 2 == 0) places_[next_].joined = new_keys();
      due_.push({now() + kAway, next_, 0});
      return;
    }
  }

  void turn() {
    const Duration next = due_.empty() ? milliseconds(10) : due_.top().when - now();
    loop_.turn(std::clamp<Duration>(next, Duration::zero(), milliseconds(10)));
    while (!due_.empty() && due_.top().when <= now()) {
      const Due due = due_.top();
      due_.pop();
      Place& place = places_[due.place];
      if (due.epoch == 0) {
        come(due.place);
      } else if (place.runner && place.epoch == due.epoch) {
        place.runner->beat();
        due_.push({due.when + place.runner->interval(), due.place, due.epoch});
      }
    }
  }

  void turn_for(Duration time) {
    for (const Duration until = now() + time; now() < until;) turn();
  }

  Heard heard() const {
    Heard heard;
    for (const Place& place : places_) {
      heard.scheduler += place.runner->scheduler_beats();
      heard.broker += place.runner->broker_beats();
      heard.hellos += place.runner->hellos();
    }
    return heard;
  }

  Duration longest_interval() const {
    Duration longest{};
    for (const Place& place : places_) longest = std::max(longest, place.runner->interval());
    return longest;
  }

  const CrowdPlan& plan_;
  wire::SessionPaths paths_;
  std::optional<wire::JoinTicket> ticket_;  // nullopt: by ipc
  wire::RunnerHello offer_;                 // what is the same of all
  ProcessorTime scheduler_, broker_;
  wire::Context context_;
  Loop loop_;
  std::vector<Place> places_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::size_t next_ = 0;  // who left last
};

}  // namespace

CrowdCosts measure_crowd(const CrowdPlan& plan) {
  allow_descriptors(plan.runners);
  // What was measured so far is said: the whole may take minutes on a busy machine.
  const auto say = [](const std::string& what) { fmt::print(stderr, "fleet_bench: {}\n", what); };
  Crowd crowd(plan);
  CrowdCosts costs;
  costs.join_seconds = in_seconds(crowd.join());
  say(fmt::format("all have joined after {:.2f} seconds", costs.join_seconds));
  crowd.idle(costs);
  say(fmt::format("idle, the scheduler takes {:.2f} %, the broker {:.2f} % of a core",
                  costs.scheduler_idle, costs.broker_idle));
  crowd.work(costs);
  return costs;
}

}  // namespace sluice::bench
