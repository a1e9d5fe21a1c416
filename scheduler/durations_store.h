// The database of durations: a row for each (project, element, action), with the last duration.
//
// Several sessions may have it open; one that writes makes the others wait for some milliseconds.
// It is worth nothing but a good order: one that is damaged or of another version is begun anew.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/job_duration.h"

namespace sluice::scheduler {

// The durations of elements of these projects. Empty when there is no database.
Result<std::vector<JobDuration>> read_durations(const std::string& file,
                                                const std::vector<std::string>& projects);
// Writes in one transaction. Rows that nobody has written for a year go.
Status write_durations(const std::string& file, const std::vector<JobDuration>& jobs);

}  // namespace sluice::scheduler
