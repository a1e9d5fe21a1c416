#include "jobs/check.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "store/tree_diff.h"

namespace sluice::jobs {

namespace {

// How many lines the error has; the log has them all.
constexpr std::size_t kShownFiles = 50;

}  // namespace

Status compare_with_cached(const store::Cas& cas, const store::ArtifactInfo& cached,
                           const store::ArtifactInfo& made, elements::Reporter& reporter) {
  elements::Reporter::Activity activity(reporter, "Comparing with the cached artifact");
  std::size_t differ = 0;
  std::string shown;
  const auto say = [&](std::string line) {
    std::replace(line.begin(), line.end(), '\n', '?');  // of names
    if (auto* log = reporter.log()) log->write(line + "\n");
    if (differ++ < kShownFiles) shown += line + "\n";
  };
  CHECK(store::diff_trees(cas, cached.files, made.files,
                          [&](const store::TreeChange& change) -> Status {
                            say(store::text_of(cas, change));
                            return {};
                          }));
  const std::size_t files = differ;
  const bool same_public_data = cached.public_data == made.public_data;
  if (!same_public_data) say("~ its public data");
  if (differ == 0) {
    activity.success();
    return {};
  }
  if (differ > kShownFiles)
    shown += fmt::format("and {} more, which are in the log\n", differ - kShownFiles);
  const std::string what = files == 0   ? "its public data is"
                           : files == 1 ? "1 file is"
                                        : fmt::format("{} files are", files);
  return fail("element", "not-reproducible",
              fmt::format("Not reproducible: {} different when it is built again", what), {},
              shown);
}

}  // namespace sluice::jobs
