// What the searches of this folder are of, and how they are judged.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <catch2/catch.hpp>

#include "base/log.h"
#include "tests/model/search.h"

namespace sluice::search {

inline constexpr std::size_t kMostStates = 400'000;

// SLUICE_MODEL_DEPTH=N: only paths of that length, of which the first found wrong is a short one.
inline Found look(const Setup& setup) {
  ::setenv("SLUICE_LOG", "off", 1);
  start_process_log("test", "");
  const char* depth = std::getenv("SLUICE_MODEL_DEPTH");
  const Found found =
      search::search(setup, kMostStates, depth != nullptr ? std::strtoul(depth, nullptr, 10) : 0);
  std::printf(
      "%zu states, %zu transitions, %zu of the states final, depth %zu, %zu KiB in snapshots\n",
      found.states, found.transitions, found.finished, found.deepest, found.most_bytes / 1024);
  std::fflush(stdout);
  return found;
}

inline void holds(const Setup& setup) {
  const Found found = look(setup);
  INFO(found.violation << found.stuck);
  CHECK(found.violation.empty());
  CHECK(found.stuck.empty());
  CHECK(found.finished > 0);
  CHECK(found.states > 20);
}

// The search finds it: a violation, or a state without an end.
inline void is_found(Setup setup, Mutation mutation, const std::string& what) {
  setup.mutation = mutation;
  const Found found = look(setup);
  CHECK_THAT(found.violation + found.stuck, Catch::Contains(what));
}

inline Setup one_job() {
  Setup setup;
  setup.elements = {{"a", {}, {}}};
  setup.targets = {"a"};
  return setup;
}

inline Setup chain() {
  Setup setup;
  setup.elements = {{"a", {}, {}}, {"b", {"a"}, {}}};
  setup.targets = {"b"};
  return setup;
}

inline Setup pair() {
  Setup setup;
  setup.elements = {{"a", {}, {}}, {"b", {}, {}}};
  setup.targets = {"a", "b"};
  return setup;
}

inline Setup with_runners(Setup setup, unsigned runners) {
  setup.runners = runners;
  return setup;
}

// Runners of other machines, and none of the session's own.
inline Setup far(Setup setup, unsigned runners = 1) {
  setup.runners = setup.far = runners;
  setup.broker_lags = false;
  return setup;
}

inline Setup near_and_far(Setup setup) {
  setup.runners = 2;
  setup.far = 1;
  setup.broker_lags = false;
  return setup;
}

}  // namespace sluice::search
