// Records as few lines: one for each element that was built or has failed, transfers gathered, and
// at the run's end what came of it, each failure once and last.
//
//   ✔ components/gcc.bst  12m03s
//   ↓ 52 pulled
//   ✘ components/bash.bst  build failed after 12s: Command failed  log
//
// What is cached is in no line of its own, nor are the steps of jobs: those are the status area's.
// For a screen reader the same is said in sentences.
//
// Kept between events are the tally, what was gathered, and the log directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renderer/lines.h"
#include "renderer/spans.h"
#include "renderer/tally.h"
#include "wire/events.h"

namespace sluice::renderer {

struct CalmSettings {
  Pen pen;
  bool spoken = false;    // in sentences
  bool quiet = false;     // failures and the summary alone
  bool debug = false;     // DEBUG messages
  bool verbose = true;    // the end of the log of what has failed
  bool terminal = false;  // texts are cleaned of what would steer it
  std::uint32_t error_lines = 20, message_lines = 20;
};

struct Told;

class CalmLines {
 public:
  explicit CalmLines(CalmSettings settings) : settings_(std::move(settings)) {}

  // What the event adds: whole lines, often none. Those of one row are cut to `columns`; 0: they
  // aren't.
  std::string render(const wire::Event& event, std::size_t columns);
  // Takes an event whose lines aren't wanted.
  void recall(const wire::Event& event);
  const Tally& tally() const { return tally_; }

 private:
  struct Gathered {
    std::string word;  // "pulled"
    std::uint32_t count = 0;
    std::vector<std::string> names;  // the first of them
  };

  std::string job_finished(const wire::Event& event);
  std::string done(const wire::Event& event) const;
  std::string failed(const wire::Event& event) const;
  std::string said(const wire::Event& event) const;
  std::string session_news(const wire::Event& event) const;
  void gather(const wire::Event& event, std::string_view word);
  std::string gathered();
  std::string summary(const wire::Event& event) const;
  std::string details(const wire::Event& event, const Told& told) const;
  std::string failure(const wire::FailureSection& failure) const;
  std::string cut(const Spans& spans) const;
  std::string text(std::string_view from) const;
  std::string below(std::string_view text, std::uint32_t most, std::string_view before) const;
  std::string_view mark(std::string_view unicode, std::string_view plain) const;

  CalmSettings settings_;
  Tally tally_;
  std::vector<Gathered> gathered_;
  std::int64_t gathered_since_ = 0;  // wall clock, ns
  std::int64_t run_began_ = 0;       // elapsed of the session then, ns
  std::size_t columns_ = 0;
};

// What the lines at the end say of a run.
struct Told {
  std::string counts;    // "120 built, 250 pulled, 30 cached", "nothing to do"
  std::string slowest;   // "gcc.bst 10m12s, llvm.bst 8m02s"; "" when nothing took long
  std::string critical;  // "9m50s of 12m04s: a.bst → b.bst"; "" when it isn't known, or of one job
  std::optional<history::Summary> summary;
};
// `took`: the run, ns.
Told told(const Tally& tally, std::int64_t took);
// How long the run took that `event` is the end of, ns.
std::int64_t took(const wire::Event& event, std::int64_t began);
// What became of it: "succeeded", "failed", "was terminated", "was ended early".
std::string_view verdict(const wire::Event& event);
// The last lines of a failure's log: as the record has them, else as the file.
std::string log_end(const wire::FailureSection& failure, std::uint32_t lines);

}  // namespace sluice::renderer
