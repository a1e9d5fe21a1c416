// What a run's records add up to, for the styles that say it at the end: how many elements were
// built and pulled, what took longest, what failed.
//
// Kept is what records say, counted: of each element how long its jobs took, and the longest chain
// of those that it waited for (run.started says who waits for whom). A renderer that starts later
// than the run does without what it hasn't seen; the counts of run.finished take the place of its
// own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/actions.h"
#include "wire/events.h"

namespace sluice::renderer {

class Tally {
 public:
  // Takes every record, in its order.
  void record(const wire::Event& event);

  struct Took {
    std::string element;
    std::int64_t elapsed = 0;  // ns
  };
  // Of the current run: how many elements have failed, were built, pulled ... and not reached since
  // the run ended, or what they need failed; with a word for each, but those of which there are
  // none.
  std::vector<std::pair<std::size_t, std::string_view>> counts() const;
  // Those that have failed, the last failures last, without those that succeeded afterwards.
  const std::vector<std::string>& failed() const { return failed_; }
  std::uint32_t elements() const { return progress_.elements; }
  // The builds that took longest, the longest first.
  std::vector<Took> slowest(std::size_t count) const;
  // The chain of elements of which each waited for the one before it, and that took longest: its
  // time, and its elements, the first of them first. Empty when it isn't known.
  std::pair<std::int64_t, std::vector<std::string>> critical() const;
  // What the run is for; "" before one has started.
  const std::string& verb() const { return verb_; }

 private:
  void start(const wire::Event& event);
  std::uint32_t not_reached() const;
  void finished_job(const wire::Event& event);

  struct Element {
    std::int64_t own = 0, chain = 0;  // ns
    std::int64_t built = 0;
    std::uint32_t before = 0;  // the one before it in its chain, from 1; 0: none
  };
  std::string verb_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::uint32_t>> dependencies_;
  std::unordered_map<std::string, std::uint32_t> index_;
  std::vector<Element> elements_;
  std::vector<std::string> failed_;
  wire::ProgressSection progress_;
  bool finished_ = false;
  std::uint32_t pushed_ = 0, tracked_ = 0;
};

// What an action yields that has succeeded, in a word: "built", "pulled"; "done" of one that isn't
// known.
std::string_view done_word(const model::ActionTraits* action);

}  // namespace sluice::renderer
