// Loading without a session: sluice-loader as a child that answers once.
#pragma once

#include "base/result.h"
#include "model/model.h"
#include "wire/messages.h"

namespace sluice::cli {

struct Loaded {
  model::Snapshot snapshot;
  std::vector<model::ElementIndex> selection;  // what was asked for, in pipeline order
};

// The loader's error as it is, or "app"/"loader-failed" when the program itself fails.
Result<Loaded> load_once(const wire::LoadArguments& arguments);

}  // namespace sluice::cli
