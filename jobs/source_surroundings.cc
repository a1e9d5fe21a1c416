#include "jobs/source_surroundings.h"

#include <algorithm>

#include "base/try.h"
#include "jobs/retry.h"
#include "store/realise.h"

namespace sluice::jobs {

void SourceSurroundings::message(sources::Weight weight, std::string_view text,
                                 std::string_view detail) {
  const Level level = weight == sources::Weight::kWarning ? Level::kWarn
                      : weight == sources::Weight::kInfo  ? Level::kInfo
                                                          : Level::kStatus;
  reporter_.message(level, text, detail);
}

void SourceSurroundings::log(std::string_view text) {
  if (JobLog* log = reporter_.log()) log->write(text);
}

void SourceSurroundings::begin(std::string_view text, std::string_view detail) {
  steps_.emplace_back(reporter_, std::string(text), detail);
}

void SourceSurroundings::end(bool success) {
  if (success) steps_.back().success();
  steps_.pop_back();
}

Result<std::string> SourceSurroundings::previous() {
  if (!previous_) return fail("job", "bad-job", "Nothing is staged before this source");
  // A copy: what it stages may ask for what was before that.
  const Stage stage = previous_;
  store::Tree tree = TRY(stage());
  std::string place = TRY(scratch_.directory("previous"));
  CHECK(store::copy_out(cas_, TRY(tree.store(cas_)), place));
  return place;
}

bool SourceSurroundings::is_fatal(std::string_view warning) const {
  const auto& fatal = data_.element.fatal_warnings;
  return std::any_of(fatal.begin(), fatal.end(),
                     [&](const std::string& name) { return name == "*" || name == warning; });
}

// A caller is about to run something that may take long, so what was held back goes out first.
Stop SourceSurroundings::stop() {
  reporter_.flush();
  return cancel_.stop();
}

Status SourceSurroundings::wait_for_retry(unsigned attempt, const Error& error) {
  return jobs::wait_for_retry(attempt, error, reporter_, cancel_);
}

}  // namespace sluice::jobs
