// Taking over what a runner elsewhere has made. It is a stranger's word until it was looked at: all
// that is written here is checked first, and is what a build on this machine would have written.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "scheduler/store_view.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/sources.h"

namespace sluice::scheduler {

// As StoreView::adopt() and keep_log().
Status adopt_artifact(store::Cas& cas, store::Artifacts& artifacts, store::SourceRefs& sources,
                      const Adoption& wanted, const model::Digest& message);
Status write_log(store::Cas& cas, const model::Digest& log, std::string_view tail,
                 const std::string& path);

}  // namespace sluice::scheduler
