// Compares what was built once more with the artifact in the cache: the end of a `check` job.
#pragma once

#include "base/result.h"
#include "elements/reporter.h"
#include "store/artifact.h"
#include "store/cas.h"

namespace sluice::jobs {

// `made`: its files and public data, as ArtifactWriter::made() has them. Each file that differs is
// a line of the log, with how it differs (store/tree_diff.h). Errors: "element"/"not-reproducible",
// with the first of these lines; those of the store.
Status compare_with_cached(const store::Cas& cas, const store::ArtifactInfo& cached,
                           const store::ArtifactInfo& made, elements::Reporter& reporter);

}  // namespace sluice::jobs
