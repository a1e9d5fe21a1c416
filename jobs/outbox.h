// Outbox keeps the results that the scheduler has not acknowledged on disk, so that they survive
// the runner (spec/jobs.md J26): an AppendLog of MessagePack arrays ["result", JobResult] and
// ["forget", JobId].
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/append_log.h"
#include "base/result.h"
#include "wire/job_messages.h"

namespace sluice::jobs {

// One thread.
class Outbox {
 public:
  // Reads what an earlier process left. Records that can't be decoded are skipped, which is logged.
  static Result<Outbox> open(const std::string& path);

  // Adds results, which the log has when this returns. When it can't be written they are kept in
  // memory all the same.
  Status add(std::vector<wire::JobResult> results);
  // Drops results. Unknown ids are ignored.
  Status forget(const std::vector<wire::JobId>& ids);

  const std::map<wire::JobId, wire::JobResult>& results() const { return results_; }
  bool has(const wire::JobId& id) const { return results_.contains(id); }

 private:
  // Starts the file anew when nothing in it is needed any more.
  Status compact();

  std::string path_;
  std::optional<AppendLog> log_;
  std::map<wire::JobId, wire::JobResult> results_;
};

}  // namespace sluice::jobs
