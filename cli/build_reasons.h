// Why elements were built in a session of the past: what of them, or of what they are built with,
// had changed since an earlier session of the same project. Found in the records of sessions and in
// the store as it is now; what neither says is unknown, and said to be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/comparison.h"
#include "history/history.h"

namespace sluice::cli {

struct BuildReason {
  // first: no earlier session that is still known had it; changed: its key was another then;
  // failed-then: it had failed under the same key; again: the same key, whose artifact wasn't
  // there.
  std::string what;
  std::string session;        // the earlier one
  std::string before, after;  // keys
  // changed: beside the artifact of then; none when one of the two isn't in the cache any more
  std::optional<Comparison> comparison;
};

// Of each element that the session has built, or tried to, by full name; `element`: of that one
// alone. Looks into at most `sessions` earlier sessions of the project, the newest first. Errors:
// those of the store.
Result<std::map<std::string, BuildReason>> build_reasons(const history::History& session,
                                                         const std::string& element,
                                                         std::size_t sessions = 20);

// A sentence for people.
std::string sentence(const BuildReason& reason);

}  // namespace sluice::cli
