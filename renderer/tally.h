// What a run's records add up to, for the styles that say it at the end: how many elements were
// built and pulled, what took longest, what failed. It is what `sluice session summary` says, of
// the same library (history/measures.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "history/history.h"
#include "history/measures.h"
#include "model/actions.h"
#include "wire/events.h"

namespace sluice::renderer {

class Tally {
 public:
  // Takes every record, in its order.
  void record(const wire::Event& event);

  // The elements of the current run that have failed, the last failures last, without those that
  // succeeded afterwards.
  const std::vector<std::string>& failed() const { return failed_; }
  // What the run is for; "" before one has started.
  std::string_view verb() const { return run() == nullptr ? std::string_view() : run()->verb; }
  // Its summary now; nothing before one has started. Takes as long as the run has elements.
  std::optional<history::Summary> summary(std::size_t slowest) const;
  // The element of a job of a summary, and its action unless that is a build's.
  std::string name_of(std::size_t job) const;
  std::int64_t duration_of(std::size_t job) const { return history().jobs[job].duration; }

 private:
  const history::History& history() const { return gatherer_->history(); }
  const history::Run* run() const {
    return history().runs.empty() ? nullptr : &history().runs.back();
  }

  std::optional<history::Gatherer> gatherer_{std::in_place, history::Gatherer::Wanted{}};
  std::vector<std::string> failed_;
};

// What an action yields that has succeeded, in a word: "built", "pulled"; "done" of one that isn't
// known.
std::string_view done_word(const model::ActionTraits* action);

}  // namespace sluice::renderer
