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
  // Begins with the toplevel's directory; without open workspaces there nothing is wanted.
  void begin(const std::string& project);
  bool wanted() const { return !project_.empty(); }
  // Takes a record of type job.finished.
  void record(const wire::Event& event);
  // Writes the keys into the file of workspaces.
  Status save() const;

 private:
  std::string project_;
  std::map<std::string, std::string> keys_;  // by element
};

}  // namespace sluice::cli
