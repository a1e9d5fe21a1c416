// A command that works on elements: a session, one load, one run and what shows it. What
// `build`, `source fetch`, `source track` and the fetch before a checkout have in common.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"

namespace sluice::cli {

struct Work {
  std::string verb = "build";  // of the run: build | fetch | track
  std::vector<std::string> targets;
  std::vector<std::string> except;
  // build: what is required, "" as the user's configuration says. Else what is worked on:
  // none | run | build | all | redirect.
  std::string deps;
  bool retry_failed = false;
  bool ignore_project_artifact_remotes = false;
  std::string session;  // to work in; "": one of its own
  bool detach = false;
  // The sources of elements as they are in the project, workspaces or not.
  bool ignore_workspaces = false;
  // track: elements of other projects too.
  bool cross_junctions = false;
  // Load as far as that goes, fetch what it takes, and do nothing else.
  bool only_subprojects = false;
};

// The exit status; errors have been reported.
int run_work(Invocation& invocation, Work work);

}  // namespace sluice::cli
