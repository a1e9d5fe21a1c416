// What a build leaves in open workspaces: the key of the last build, from which the next one there
// starts.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "wire/events.h"

namespace sluice::cli {

class LastBuilds {
 public:
  // `project`: the toplevel's directory. Without open workspaces nothing is wanted.
  void begin(const std::string& project);
  bool wanted() const { return !project_.empty(); }
  // Of job.finished.
  void record(const wire::Event& event);
  // Into the file of workspaces.
  Status save() const;

 private:
  std::string project_;
  std::map<std::string, std::string> keys_;  // by element
};

}  // namespace sluice::cli
