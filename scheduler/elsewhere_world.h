// What tests of runners from elsewhere share.
#pragma once

#include "scheduler/test_world.h"

namespace sluice::scheduler {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline void listens(CoreOptions& options) { options.listens = true; }

inline std::set<std::string> names(const std::vector<wire::Job>& jobs) {
  std::set<std::string> out;
  for (const auto& job : jobs) out.insert(name_of(job));
  return out;
}

inline std::string waiting(const World& world) {
  return wire::decode_event(world.core->pack_status(StatusOf::kShown))->text;
}

// Time passes while these runners beat.
inline void pass(World& world, Duration time, const std::vector<std::string>& alive) {
  for (Duration gone{}; gone < time; gone += seconds(1)) {
    world.pass(seconds(1));
    for (const std::string& runner : alive) world.say(runner, wire::RunnerBeat{});
  }
}

inline const wire::RunnerInfo* info(const wire::RunnerList& list, const std::string& name) {
  for (const auto& runner : list.runners) {
    if (runner.name == name) return &runner;
  }
  return nullptr;
}

}  // namespace sluice::scheduler
