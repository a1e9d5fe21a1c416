// The narrator says what the scheduler has to say: records of what has happened, with their whole
// context as of then, and the status now.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/changes.h"
#include "scheduler/fleet.h"
#include "scheduler/forecast.h"
#include "scheduler/watching.h"
#include "wire/events.h"

namespace sluice::scheduler {

// The status that is packed: as most want it; with all running jobs; with the last lines of their
// output.
enum class StatusOf : std::uint8_t { kShown, kFull, kLines };

// One thread. Records are held back by `changes` until the journal has what they say.
class Narrator final : public Effects {
 public:
  struct Options {
    std::string session;
    std::string verb;  // of the command that the session was started for
  };
  Narrator(Options options, Changes& changes, const Fleet& fleet, const Forecast& forecast,
           const Watching& watching)
      : options_(std::move(options)), changes_(changes), fleet_(fleet), forecast_(forecast),
        watching_(watching) {}

  // The project's name from the snapshot that was read last, the session's or not yet.
  void set_project(const std::string& name) { project_ = name; }
  // Notes that the session ends, which no change says before it is over.
  void set_ending() { ending_ = true; }

  // ---- Effects: what a change has done.
  void session_is(std::string_view type) override;
  void run_started(const RunStarted& change) override;
  void run_finishes(const RunFinished& change) override;
  void prompt_opened(const Prompt& prompt) override { say_prompt("prompt.opened", prompt); }
  void prompt_closed(const Prompt& prompt) override { say_prompt("prompt.closed", prompt); }
  void job_started(const Attempt& attempt) override;
  void job_says(const Attempt& attempt, std::string_view level, std::string_view text,
                std::string_view detail) override;
  void job_finished(const Attempt& attempt, const JobEnd& end) override;
  void elements_changed(const std::vector<ElementIndex>& elements) override;

  // ---- What no change says. `time`: wall clock.
  void job_terminates(const Attempt& attempt, std::int64_t time);
  void error(const Error& error, std::int64_t time);
  // How long what is still to be done of the pipeline took the last time, ns.
  void run_planned(std::vector<std::int64_t> expected);
  // What a status says that isn't the model's.
  struct Now {
    std::optional<wire::CacheSection> cache;
    std::string waiting;  // what waits for a runner that isn't there
    std::optional<wire::EstimateSection> estimate;
    std::uint32_t builders = 0;  // at once
    std::int64_t time = 0;
  };
  // What statuses of one moment have in common, packed: all but the running jobs.
  struct Common {
    std::vector<std::string> before, after;  // sections: before and after `active`
    std::string waiting;
    std::int64_t time = 0;
  };
  Common common(Now now) const;
  // Packs a `status/` event.
  std::string status(StatusOf of, const Common& common) const;
  // Says what has become of a runner from elsewhere.
  void runner_is(const wire::EventHead& head, const wire::RunnerSection& runner) {
    publish(head, {wire::pack_section("runner", runner)});
  }
  // The context that a job's own messages bear.
  std::string context(const Attempt& attempt) const;

 private:
  const SessionModel& model() const { return changes_.model(); }
  std::int64_t time() const { return model()->at.time; }  // of the change that is being applied
  std::string_view state() const {
    return ending_ && !model()->ended ? std::string_view("ending")
                                      : std::string_view(model()->state);
  }
  // `e` is the element whose position the run's section tells.
  void publish(const wire::EventHead& head, std::vector<std::string> sections,
               std::optional<ElementIndex> e = std::nullopt);
  void say(std::string_view level, std::string_view text, std::int64_t elapsed,
           std::string_view detail = {});
  void say_job(const Attempt& attempt, const wire::EventHead& head,
               std::vector<std::string> more = {});
  void say_prompt(std::string_view type, const Prompt& prompt);

  std::string session_part() const;
  std::string run_part(std::optional<ElementIndex> e) const;
  std::string queues_part() const;
  std::string prompts_part() const;
  std::string limits_part() const;
  std::string plan_part() const;
  std::string active_part(StatusOf of) const;
  std::string idle_part(const Now& now) const;
  std::string job_part(const Attempt& attempt) const;
  std::string element_part(ElementIndex e) const {
    return wire::pack_section("element", element_section(*model(), e));
  }
  std::vector<wire::ElementSection> resolved() const;
  std::string_view verb_text() const;

  const Options options_;
  Changes& changes_;
  const Fleet& fleet_;
  const Forecast& forecast_;
  const Watching& watching_;
  std::string project_;
  bool ending_ = false;
};

}  // namespace sluice::scheduler
