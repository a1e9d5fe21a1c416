// What history/measures.h finds in a session's newest run that has any jobs, for the page: it draws
// these and counts nothing again.
//
//   {"run": number, "at": ms, wall clock, up to which it holds, "ms": of the run, suspensions left
//    out, "suspended": ms, "over": bool, "elements": count,
//    "fates": [of each element of the run a history::kFateNames], "hit_rate": 0 to 1 | null,
//    "path": null | {"ms", "jobs": [["id.attempt", ms, ms waited for its turn]...]},
//    "load": {"busy": ms, "average", "peak", "builders"}, "cpu": ms, "memory": bytes,
//    "largest": element, "fetched", "uploaded": bytes,
//    "runners": [[name, host, jobs, failed, lost, busy ms]...],
//    "pauses": [[from, to (0: lasts)]...]}
#pragma once

#include <string>

#include "base/result.h"
#include "history/history.h"
#include "wire/session.h"

namespace sluice::renderer {

// JSON; "null" of a history without a run.
std::string measured_json(const history::History& history);
// Of a session of this machine, as its log is now. Errors: those of history::read().
Result<std::string> measured_json(const wire::SessionPaths& paths);

}  // namespace sluice::renderer
