#include "jobs/track.h"

#include <fmt/format.h>

#include "jobs/mirror.h"
#include "model/source_kinds.h"

namespace sluice::jobs {

Result<Tracked> track_sources(const JobData& data, Reporter& reporter, Cancel& cancel) {
  Tracked tracked;
  Mirror mirror(data.settings, reporter, cancel);
  for (const model::Source& source : data.body.sources) {
    if (auto going = cancel.check(); !going) return forward(going);
    if (!model::traits(source).has_ref) continue;
    // Without a branch to track git has nothing to do, but for a first ref.
    if (source.kind == "git" && source.config.find("track") == nullptr) {
      if (!source.ref.empty()) continue;
      return source_error(source, "track-attempt-no-track", fmt::format("{}No track or ref", where(source)),
                          "Without a tracking branch ref can not be updated. Please provide a ref or a track.");
    }
    if (!model::traits(source).downloads) {
      return source_error(source, "unsupported-source", fmt::format("{}Sources of kind '{}' can't be tracked", where(source), source.kind));
    }
    if (!source.ref_place) return fail("job", "bad-job", "The job does not say where its sources' refs are");
    tracked.any = true;
    auto ref = mirror.track(source);
    if (!ref) return forward(ref);
    if (*ref == source.ref) continue;
    if (!source.ref.empty()) {
      reporter.message(Level::kWarn, "Potential man-in-the-middle attack!",
                       fmt::format("When tracking, new ref differs from current ref:\n"
                                   "  Tracked URL: {}\n  Current ref: {}\n  New ref: {}\n", source.url, source.ref, *ref));
    }
    reporter.message(Level::kInfo, fmt::format("Found new revision: {}", *ref));
    tracked.changed.push_back({*source.ref_place, source.ref, *ref});
  }
  return tracked;
}

}  // namespace sluice::jobs
