// A session shown again as it went: records when they are due, and between them the status that its
// scheduler would have said. That isn't in the log: it is made of the records here. No sockets, no
// waiting; the clock is the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "wire/events.h"

namespace sluice::renderer {

// Makes of records what `status` says: the session, its run, queues, running jobs with their steps,
// progress, limits, prompts, and an estimate: what the scheduler has said of the time that was left
// isn't in the log, so it is computed anew of what was expected. What no record tells is absent:
// cache, idle builders.
class StatusMaker {
 public:
  void take(const wire::Event& event);
  // The status at a moment (wall clock, ns) not before the newest record that was taken; nothing as
  // long as nobody has said which session it is.
  std::optional<wire::Event> status(std::int64_t moment) const;

 private:
  struct Running {
    wire::ActiveJob job;
    std::int64_t began = 0;  // the session's time
    std::vector<std::string> steps;
  };
  void run_started(const wire::Event& event);
  void run_planned(const wire::Event& event);
  void arrange();
  void find_critical();
  std::optional<wire::EstimateSection> estimate(std::int64_t elapsed) const;
  std::vector<bool> waiting_for_failures() const;
  void note_job(const wire::Event& event);
  void note_prompt(const wire::Event& event);
  std::int64_t since(std::int64_t moment) const;
  wire::ProgressSection progress() const;

  std::optional<wire::SessionSection> session_;
  std::optional<wire::RunSection> run_;
  std::int64_t time_ = 0;  // of the record that these two are from
  std::vector<wire::QueueSection> queues_;
  std::map<std::uint64_t, Running> running_;
  // Steps of jobs of which it wasn't said yet that they have started.
  std::map<std::uint64_t, std::vector<std::string>> early_;
  wire::LimitsSection limits_;
  std::map<std::uint64_t, wire::PromptSection> prompts_;

  // Of the run.
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> elements_;
  std::vector<std::vector<std::uint32_t>> dependencies_;
  std::vector<std::vector<std::size_t>> users_;  // of each element, who depends on it
  std::vector<std::size_t> order_;               // each after what it depends on
  std::vector<std::int64_t> expected_;
  std::vector<bool> critical_;
  std::set<std::string> failed_, done_;
  std::uint32_t killed_ = 0;  // jobs of the run's own action
};

// Plays records.
class Replay {
 public:
  struct Settings {
    double speed = 1;       // so many times as fast; 0: without waiting
    Duration max_pause{0};  // waits no longer from one record to the next; 0: as long as it was
    std::int64_t skip = 0;  // ns from the first record on that are shown without waiting
    std::string skip_to;    // so is all before the first job of this element
    bool status = false;    // whether on_status() is wanted
  };
  struct Callbacks {
    // The next record, valid until the next call; "": there is no more.
    std::function<Result<std::string_view>()> next;
    std::function<void(std::string_view packed)> on_record;
    std::function<void(std::string_view packed)> on_status;
    std::function<bool()> has_room;  // for another record
  };
  Replay(Settings settings, const Clock& clock, Callbacks callbacks)
      : settings_(std::move(settings)), clock_(clock), callbacks_(std::move(callbacks)) {}

  // Hands over what is due, as far as there is room. Gives the time until it wants to be called
  // again; nothing: all was handed over. Errors: of next().
  Result<std::optional<Duration>> advance();

  // Whoever looks on may hold it, and have it go faster or slower (0: without waiting) from where
  // it is.
  void hold(bool held);
  void set_speed(double speed);

 private:
  Result<bool> fetch(Duration now);
  bool skips(const wire::Event& event);
  std::int64_t position(Duration now) const;
  Duration say_status(Duration now);
  void anchor_here();
  void find_due(Duration now);

  Settings settings_;
  const Clock& clock_;
  const Callbacks callbacks_;
  StatusMaker status_;
  std::string held_;                  // the next record; "": it isn't fetched yet
  std::optional<wire::Event> event_;  // it, when it can be read
  std::int64_t held_time_ = 0;
  Duration due_{};
  bool began_ = false, skipping_ = true, over_ = false;
  bool stands_ = false;     // it is held
  std::int64_t first_ = 0;  // time of the first record
  // The time of the session that is shown at a moment of the clock.
  Duration anchor_{};
  std::int64_t anchor_time_ = 0;
  std::optional<Duration> said_status_;
  bool changed_ = false;
};

}  // namespace sluice::renderer
