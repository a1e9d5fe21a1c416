#include "renderer/replay.h"

#include <algorithm>

#include "base/try.h"
#include "model/action_named.h"
#include "model/states.h"

namespace sluice::renderer {

namespace {

constexpr std::string_view kScheduler = "scheduler";
// As the scheduler says them.
constexpr std::size_t kActiveShown = 64;
constexpr std::size_t kPromptsShown = 16;
constexpr double kSpread = 0.15;
constexpr std::int64_t kLate = 20;  // what takes longer than expected still takes a twentieth of it
constexpr Duration kFrame = std::chrono::milliseconds(100);
constexpr Duration kSecond = std::chrono::seconds(1);
constexpr Duration kIdle = std::chrono::hours(1);

bool ends_step(std::string_view level) {
  return level == "success" || level == "failure" || level == "skipped";
}

}  // namespace

// ---- The status ------------------------------------------------------------------

void StatusMaker::take(const wire::Event& event) {
  // Records of others bear the session as it was when their job was given.
  if (event.session && (event.src.empty() || event.src == kScheduler)) {
    session_ = event.session;
    time_ = event.time;
    if (event.run) run_ = event.run;
    if (event.queues) queues_ = *event.queues;
  }
  if (event.limits) limits_ = *event.limits;
  if (event.type == "run.started") {
    run_started(event);
  } else if (event.type == "run.planned") {
    run_planned(event);
  } else if (event.type == "run.finished") {
    run_.reset();
    queues_.clear();
    running_.clear();
    early_.clear();
  } else if (event.type.starts_with("job.")) {
    note_job(event);
  } else if (event.type.starts_with("prompt.")) {
    note_prompt(event);
  }
}

void StatusMaker::run_started(const wire::Event& event) {
  names_.clear();
  elements_.clear();
  dependencies_.clear();
  expected_.clear();
  critical_.clear();
  failed_.clear();
  done_.clear();
  killed_ = 0;
  if (event.heading && !limits_.changed) {
    limits_.builders = event.heading->builders;
    limits_.fetchers = event.heading->fetchers;
  }
  if (!event.elements) return;
  for (const wire::ElementSection& element : *event.elements) {
    elements_.emplace(element.name, names_.size());
    names_.push_back(element.name);
    if (element.state == text_of(model::ElementState::kCached) ||
        element.state == text_of(model::ElementState::kJunction))
      done_.insert(element.name);
  }
  if (event.plan && event.plan->dependencies.size() == names_.size())
    dependencies_ = event.plan->dependencies;
  arrange();
}

void StatusMaker::run_planned(const wire::Event& event) {
  if (!event.plan || event.plan->expected.size() != names_.size()) return;
  expected_ = event.plan->expected;
  find_critical();
}

void StatusMaker::arrange() {
  users_.assign(names_.size(), {});
  order_.clear();
  std::vector<std::size_t> missing(names_.size());
  for (std::size_t e = 0; e < dependencies_.size(); ++e) {
    for (const std::uint32_t on : dependencies_[e]) {
      if (on >= names_.size()) continue;
      users_[on].push_back(e);
      ++missing[e];
    }
    if (missing[e] == 0) order_.push_back(e);
  }
  for (std::size_t i = 0; i < order_.size(); ++i) {
    for (const std::size_t user : users_[order_[i]]) {
      if (--missing[user] == 0) order_.push_back(user);
    }
  }
}

// The longest way through the run, by what is expected of each element.
void StatusMaker::find_critical() {
  critical_.assign(names_.size(), false);
  constexpr auto kNobody = static_cast<std::size_t>(-1);
  std::vector<std::int64_t> length(names_.size(), 0);
  std::vector<std::size_t> before(names_.size(), kNobody);
  std::size_t last = kNobody;
  for (const std::size_t e : order_) {
    length[e] += expected_[e];
    if (last == kNobody || length[e] > length[last]) last = e;
    for (const std::size_t user : users_[e]) {
      if (length[e] <= length[user]) continue;
      length[user] = length[e];
      before[user] = e;
    }
  }
  for (; last != kNobody; last = before[last]) critical_[last] = expected_[last] > 0;
}

void StatusMaker::note_job(const wire::Event& event) {
  if (!event.job) return;
  const std::uint64_t id = event.job->id;
  const auto running = running_.find(id);
  if (event.type == "job.started") {
    Running& job = running_[id];
    job = {};
    job.job.element = event.element ? event.element->name : "";
    job.job.key = event.element ? event.element->brief : "";
    job.job.action = event.job->action;
    job.job.job = id;
    job.job.runner = event.job->runner;
    job.job.attempt = event.job->attempt;
    job.job.log_file = event.job->log_file;
    job.began = event.session ? event.session->elapsed : 0;
    if (auto early = early_.extract(id); !early.empty()) job.steps = std::move(early.mapped());
    const auto element = elements_.find(job.job.element);
    const model::ActionTraits* const traits = model::traits_named(job.job.action);
    if (element != elements_.end() && traits != nullptr) {
      if (traits->needs == model::Needs::kInputs && !expected_.empty())
        job.job.expected = expected_[element->second];
      job.job.critical = !critical_.empty() && critical_[element->second];
    }
  } else if (event.type == "job.finished") {
    running_.erase(id);
    early_.erase(id);
    if (!event.element || !run_) return;
    const model::ActionTraits* const traits = model::traits_named(event.job->action);
    if (traits != nullptr && traits->yields == model::Yields::kPulledArtifact &&
        event.outcome == "success")
      done_.insert(event.element->name);
    if (event.job->action != run_->verb) return;
    if (event.outcome == "killed") ++killed_;
    if (event.outcome == "failure" || event.outcome == "error") {
      failed_.insert(event.element->name);
    } else {
      failed_.erase(event.element->name);
      done_.insert(event.element->name);
    }
  } else if (event.type == "job.message") {
    // By a warning about a running job the scheduler says that the attempt was lost.
    if (event.level == "warn" && event.src == kScheduler) {
      running_.erase(id);
      return;
    }
    auto& steps = running != running_.end() ? running->second.steps : early_[id];
    if (event.level == "start") {
      steps.push_back(event.text);
    } else if (ends_step(event.level)) {
      const auto step = std::find(steps.rbegin(), steps.rend(), event.text);
      if (step != steps.rend()) steps.erase(step.base() - 1, steps.end());
    }
  }
}

void StatusMaker::note_prompt(const wire::Event& event) {
  if (!event.prompt) return;
  if (event.type == "prompt.opened") {
    prompts_[event.prompt->id] = *event.prompt;
  } else {
    prompts_.erase(event.prompt->id);
  }
}

// How much of the session's time has gone by since the newest record.
std::int64_t StatusMaker::since(std::int64_t moment) const {
  return session_->state == "suspended" ? 0 : std::max<std::int64_t>(0, moment - time_);
}

// As the scheduler counts (scheduler/course.cc).
wire::ProgressSection StatusMaker::progress() const {
  wire::ProgressSection out;
  out.elements = run_->elements;
  const model::ActionTraits* const verb = model::traits_named(run_->verb);
  std::uint32_t passed = 0;
  for (const wire::QueueSection& queue : queues_) {
    out.failed += queue.failed;
    if (verb != nullptr && queue.name == verb->title) {
      out.done = queue.processed + queue.skipped - std::min(queue.skipped, killed_);
      passed = queue.skipped - std::min(queue.skipped, killed_);
    }
    for (const model::ActionTraits& action : model::kActions) {
      if (action.title != queue.name) continue;
      if (action.yields == model::Yields::kArtifact) out.built += queue.processed;
      if (action.yields == model::Yields::kPulledArtifact) out.pulled += queue.processed;
      if (action.yields == model::Yields::kSources) out.fetched += queue.processed;
    }
  }
  const bool builds = verb != nullptr && verb->yields == model::Yields::kArtifact;
  out.cached = builds ? passed - std::min(passed, out.pulled) : passed;
  if (out.failed > 0) {
    const std::vector<bool> waits = waiting_for_failures();
    out.blocked = static_cast<std::uint32_t>(std::count(waits.begin(), waits.end(), true));
  }
  return out;
}

// Of each element whether it waits, directly or not, for one that has failed.
std::vector<bool> StatusMaker::waiting_for_failures() const {
  std::vector<bool> waits(names_.size(), false), seen(names_.size(), false);
  std::vector<std::size_t> work;
  for (const std::string& name : failed_) {
    const auto found = elements_.find(name);
    if (found == elements_.end()) continue;
    seen[found->second] = true;
    work.push_back(found->second);
  }
  while (!work.empty()) {
    const std::size_t e = work.back();
    work.pop_back();
    for (const std::size_t user : users_[e]) {
      if (seen[user]) continue;
      seen[user] = true;
      waits[user] = !done_.contains(names_[user]);
      work.push_back(user);
    }
  }
  return waits;
}

// What is left takes no less than its longest way, nor than all of it shared by the builders, and
// no more than both together; and that as exactly as jobs take what they took the last time.
std::optional<wire::EstimateSection> StatusMaker::estimate(std::int64_t elapsed) const {
  if (expected_.empty() || order_.empty()) return std::nullopt;
  std::unordered_map<std::string_view, std::int64_t> began;
  for (const auto& [id, running] : running_) began.emplace(running.job.element, running.began);
  const std::vector<bool> out_of_reach = waiting_for_failures();
  std::vector<std::int64_t> length(names_.size(), 0);
  std::int64_t longest = 0, work = 0;
  for (const std::size_t e : order_) {
    const std::string& name = names_[e];
    std::int64_t left = expected_[e];
    if (done_.contains(name) || failed_.contains(name) || out_of_reach[e]) left = 0;
    if (const auto active = began.find(name); active != began.end() && left > 0)
      left = std::max(left - (elapsed - active->second), left / kLate);
    work += left;
    length[e] += left;
    longest = std::max(longest, length[e]);
    for (const std::size_t user : users_[e]) length[user] = std::max(length[user], length[e]);
  }
  if (work == 0) return std::nullopt;
  const std::int64_t builders = std::max<std::uint32_t>(limits_.builders, 1);
  wire::EstimateSection out;
  out.critical = longest;
  out.remaining = longest + (work - longest) / builders;
  out.low = static_cast<std::int64_t>(static_cast<double>(std::max(longest, work / builders)) *
                                      (1 - kSpread));
  out.high = static_cast<std::int64_t>(static_cast<double>(out.remaining) * (1 + kSpread));
  return out;
}

std::optional<wire::Event> StatusMaker::status(std::int64_t moment) const {
  if (!session_) return std::nullopt;
  wire::Event out;
  out.type = "status";
  out.time = moment;
  out.session = session_;
  out.session->elapsed += since(moment);
  wire::ActiveSection& active = out.active.emplace();
  active.total = static_cast<std::uint32_t>(running_.size());
  for (const auto& [id, running] : running_) {
    if (active.jobs.size() == kActiveShown) break;
    wire::ActiveJob& job = active.jobs.emplace_back(running.job);
    job.elapsed = std::max<std::int64_t>(0, out.session->elapsed - running.began);
    if (!running.steps.empty()) job.step = running.steps.back();
  }
  if (run_) {
    out.run = run_;
    out.run->position = 0;
    out.run->elapsed += since(moment);
    out.queues = queues_;
    out.progress = progress();
    out.estimate = estimate(out.session->elapsed);
  }
  if (limits_.builders != 0 || limits_.fetchers != 0) out.limits = limits_;
  if (!prompts_.empty()) {
    auto& prompts = out.prompts.emplace();
    for (const auto& [id, prompt] : prompts_) {
      if (prompts.size() < kPromptsShown) prompts.push_back(prompt);
    }
  }
  return out;
}

// ---- The clock ---------------------------------------------------------------------

std::int64_t Replay::position(Duration now) const {
  if (settings_.speed == 0 || skipping_ || stands_) return anchor_time_;
  const auto passed =
      static_cast<std::int64_t>(static_cast<double>((now - anchor_).count()) * settings_.speed);
  // Not past what is still to come.
  return std::min(anchor_time_ + std::max<std::int64_t>(passed, 0),
                  held_.empty() ? anchor_time_ : std::max(held_time_, anchor_time_));
}

// Whether what was before the place from which on it is played isn't over yet.
bool Replay::skips(const wire::Event& event) {
  if (!skipping_) return false;
  const bool time_is_up = held_time_ - first_ >= settings_.skip;
  const bool is_there =
      settings_.skip_to.empty() ||
      (event.type == "job.started" && event.element && event.element->name == settings_.skip_to);
  if (settings_.skip_to.empty() ? time_is_up : is_there && time_is_up) skipping_ = false;
  return skipping_;
}

// Fetches the next record, and finds out when it is due. False: there is none.
Result<bool> Replay::fetch(Duration now) {
  const std::string_view packed = TRY(callbacks_.next());
  if (packed.empty()) return false;
  held_ = packed;
  auto event = wire::decode_event(packed);
  event_.reset();
  if (event) event_ = std::move(*event);
  // Records of several processes aren't in the order of their times.
  held_time_ = std::max(event_ ? event_->time : 0, anchor_time_);
  if (!began_) {
    began_ = true;
    first_ = anchor_time_ = held_time_;
    anchor_ = now;
  }
  const bool skipped_before = skipping_;
  if (event_) (void)skips(*event_);
  if (skipped_before && !skipping_) {
    // It is played from here on: from the element's job, or from that moment.
    anchor_ = now;
    anchor_time_ = settings_.skip_to.empty()
                       ? std::min(held_time_, std::max(anchor_time_, first_ + settings_.skip))
                       : held_time_;
  }
  find_due(now);
  return true;
}

void Replay::find_due(Duration now) {
  due_ = now;
  if (skipping_ || settings_.speed == 0) return;
  const double wait = static_cast<double>(held_time_ - anchor_time_) / settings_.speed;
  due_ = anchor_ + Duration(static_cast<std::int64_t>(wait));
  if (settings_.max_pause > Duration::zero()) due_ = std::min(due_, anchor_ + settings_.max_pause);
}

// It goes on from the moment that is shown now.
void Replay::anchor_here() {
  const Duration now = clock_.monotonic();
  anchor_time_ = position(now);
  anchor_ = now;
}

void Replay::hold(bool held) {
  if (stands_ == held) return;
  anchor_here();
  stands_ = held;
  if (!held_.empty()) find_due(anchor_);
  changed_ = true;
}

void Replay::set_speed(double speed) {
  anchor_here();
  settings_.speed = speed;
  if (!held_.empty()) find_due(anchor_);
  changed_ = true;
}

// Says the status when it is time for that. Gives the time until it is again, if nothing happens.
Duration Replay::say_status(Duration now) {
  if (!settings_.status) return kIdle;
  // The times of a fast replay change as fast.
  const Duration at_least = settings_.speed > 1 || settings_.speed == 0 ? kFrame : kSecond;
  if (said_status_) {
    const Duration next = *said_status_ + (changed_ ? kFrame : at_least);
    if (now < next) return next - now;
  }
  if (auto status = status_.status(position(now))) {
    if (stands_) status->session->state = "paused";
    callbacks_.on_status(wire::encode(*status));
  }
  changed_ = false;
  said_status_ = now;
  return at_least;
}

Result<std::optional<Duration>> Replay::advance() {
  for (;;) {
    const Duration now = clock_.monotonic();
    if (held_.empty() && !over_ && !TRY(fetch(now))) over_ = true;
    if (over_) return std::nullopt;
    if (stands_) return say_status(now);
    if (due_ > now) return std::min(due_ - now, say_status(now));
    if (!callbacks_.has_room()) return kIdle;
    if (event_) status_.take(*event_);
    changed_ = true;
    // Who was stopped for long goes on from where he was.
    anchor_ = skipping_ ? now : std::max(due_, now - kFrame);
    anchor_time_ = held_time_;
    const std::string record = std::exchange(held_, {});
    callbacks_.on_record(record);
    if (settings_.speed == 0 || skipping_) (void)say_status(now);
  }
}

}  // namespace sluice::renderer
