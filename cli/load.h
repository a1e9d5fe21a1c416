// Loading without a session: sluice-loader as a child that answers once.
#pragma once

#include "base/result.h"
#include "model/model.h"
#include "wire/messages.h"

namespace sluice::cli {

// What one load gives, of all projects that it took.
struct LoadedProject {
  model::Snapshot snapshot;
  std::vector<model::ElementIndex> selection;  // what was asked for, in pipeline order
};

// Loads once. The loader's error comes as it is; "app"/"loader-failed" when the program itself
// fails.
Result<LoadedProject> load_once(const wire::LoadArguments& arguments);

// The settings, for commands that need no elements. An error says what is wrong with the
// configuration, and with the project if there is one (`complete`: as wire::LoadWanted says).
Result<model::Settings> check_project(wire::LoadArguments arguments, bool complete);

}  // namespace sluice::cli
