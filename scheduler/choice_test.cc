// The choice of a runner, without anything else (spec/jobs.md, J74).
#include "scheduler/choice.h"

#include <cstdlib>

#include <catch2/catch.hpp>

namespace sluice::scheduler {

namespace {

constexpr std::uint32_t kLimit = 1000;
constexpr Choice::Credit kCredit{kLimit, true};

struct Place {
  Fleet fleet{kLease};
  Choice choice{{"linux/x86-64", true}, fleet};
  std::uint64_t jobs = 0;

  Runner& add(const std::string& name, std::uint32_t slots = 2, bool remote = true,
              std::uint64_t epoch = 1) {
    wire::RunnerHello hello;
    hello.hello.instance = name;
    hello.hello.epoch = epoch;
    hello.slots = slots;
    hello.remote = remote;
    hello.platform = "linux/x86-64";
    return fleet.welcome("peer of " + name, hello, Duration{});
  }
  void give(const Runner& runner, std::uint32_t count = 1) {
    for (std::uint32_t i = 0; i < count; ++i)
      fleet.give({++jobs, 1}, Action::kBuild, runner.instance, Duration{});
  }
  Choice::Class any() { return choice.class_of({"linux/x86-64", {}, false}, Action::kBuild); }
  std::string chosen(std::span<const model::ArtifactRef> inputs = {}, bool critical = false) {
    const Runner* const runner = choice.choose(any(), kCredit, inputs, critical);
    return runner == nullptr ? "" : runner->instance;
  }
  // The runner has built the artifact, which is of so many bytes.
  void built(const Runner& runner, const model::ArtifactRef& artifact, std::uint64_t bytes,
             std::int64_t elapsed = 0, std::int64_t expected = 0) {
    wire::JobResult result;
    result.status = model::Outcome::kSuccess;
    result.artifact = artifact;
    result.uploaded = bytes;
    result.elapsed = elapsed;
    choice.ended(runner, result, expected);
  }
};

model::ArtifactRef artifact(int number) {
  model::ArtifactRef ref;
  ref.files = {"files of " + std::to_string(number), 1};
  return ref;
}

}  // namespace

TEST_CASE("J74: a job goes where most bytes are, and to whoever has room besides") {
  Place place;
  Runner& one = place.add("one", 4);
  Runner& two = place.add("two", 4);
  place.add("three", 4);
  place.built(one, artifact(1), 1000);
  place.built(two, artifact(2), 10);
  place.built(two, artifact(3), 20);
  const std::vector<model::ArtifactRef> inputs{artifact(1), artifact(2), artifact(3)};
  CHECK(place.choice.to_travel(one, inputs) == 30);
  CHECK(place.choice.to_travel(two, inputs) == 1000);
  CHECK(place.chosen(inputs) == "one");
  CHECK(place.chosen(std::vector{artifact(2)}) == "two");
  // It is no place for everything: half of its slots are enough while others have none filled.
  place.give(one, 2);
  CHECK(place.chosen(inputs) == "two");
  place.give(two, 1);
  place.give(*place.fleet.find("three"), 1);
  CHECK(place.chosen(inputs) == "one");
  // With nothing to tell them apart the one with most room gets it.
  CHECK(place.chosen() == "three");
  // What it was given to build with it holds as well.
  place.choice.gives(two, inputs);
  CHECK(place.choice.to_travel(two, inputs) == 0);
  // Another process holds nothing; the same one at another connection still does.
  place.add("two", 4);
  CHECK(place.choice.to_travel(two, inputs) == 0);
  place.add("two", 4, true, 2);
  CHECK(place.choice.to_travel(two, inputs) == 1030);
}

TEST_CASE("J74: whoever's machine has lost a job twice gets it again only when nobody else may") {
  Place place;
  Runner& bad = place.add("bad", 4);
  Runner& good = place.add("good", 2);
  bad.offer.machine = "machine of bad";
  const std::vector<model::ArtifactRef> inputs{artifact(1), artifact(2)};
  place.choice.gives(bad, inputs);
  const Choice::Machines once{{"machine of bad"}, {}}, lost{{}, {"machine of bad"}};
  const auto chosen_but = [&](const Choice::Machines& machines) {
    const Runner* const runner = place.choice.choose(place.any(), kCredit, inputs, false, machines);
    return runner == nullptr ? "" : runner->instance;
  };
  const auto chosen = [&] { return chosen_but(lost); };
  CHECK(place.chosen(inputs) == "bad");
  CHECK(chosen() == "good");
  CHECK(chosen_but(once) == "good");
  CHECK(place.choice.free_slots(place.any(), kCredit) == 6);
  CHECK(place.choice.free_slots(place.any(), kCredit, once) == 6);
  CHECK(place.choice.free_slots(place.any(), kCredit, lost) == 2);
  // It waits there rather than be lost a third time; what was lost once doesn't wait for hours.
  place.give(good, 3);
  CHECK(place.chosen(inputs) == "bad");
  CHECK(chosen() == "good");
  CHECK(chosen_but(once) == "bad");
  place.give(good, 1);
  CHECK(chosen() == "bad");
  // What it holds nobody knows.
  const model::Digest one = artifact(1).files;
  place.choice.loses(bad, std::span(&one, 1));
  CHECK(place.choice.to_travel(bad, inputs) == 1);
  place.choice.gives(bad, inputs);
  CHECK(place.choice.to_travel(bad, inputs) == 0);
}

TEST_CASE("J74: what has no size counts as the others on average; the session's own holds all") {
  Place place;
  Runner& one = place.add("one");
  Runner& own = place.add("runner", 2, false);
  const std::vector<model::ArtifactRef> inputs{artifact(1), artifact(2), artifact(3)};
  CHECK(place.choice.to_travel(one, inputs) == 3);
  CHECK(place.choice.to_travel(own, inputs) == 0);
  place.built(one, artifact(4), 100);
  place.built(one, artifact(5), 300);
  place.built(one, artifact(6), 0);
  CHECK(place.choice.to_travel(one, inputs) == 600);
  place.choice.gives(one, std::vector{artifact(2)});
  CHECK(place.choice.to_travel(one, inputs) == 400);
}

TEST_CASE("J74: the way to the end goes to the fastest, everything else to whoever holds more") {
  Place place;
  Runner& slow = place.add("slow", 4);
  Runner& fast = place.add("fast", 4);
  for (int i = 0; i < 10; ++i) {
    place.built(slow, artifact(i), 1000, 2'000'000'000, 1'000'000'000);
    place.built(fast, artifact(i + 100), 1000, 500'000'000, 1'000'000'000);
  }
  CHECK(place.choice.speed(slow) == Approx(0.5));
  CHECK(place.choice.speed(fast) == Approx(2));
  const std::vector<model::ArtifactRef> inputs{artifact(1)};
  CHECK(place.chosen(inputs) == "slow");
  CHECK(place.chosen(inputs, true) == "fast");
  CHECK(place.chosen() == "fast");
  // As long as it has a slot for it.
  place.give(fast, 4);
  CHECK(place.chosen(inputs, true) == "slow");
  place.give(slow, 4);
  CHECK(place.chosen(inputs, true) == "fast");
}

TEST_CASE("J74: of many runners those that hold the most are among the few that are looked at") {
  Place place;
  for (int i = 0; i < 500; ++i) place.add("runner-" + std::to_string(i), 16);
  Runner& holder = place.add("zz-holder", 8);
  place.built(holder, artifact(1), 1'000'000);
  for (int i = 2; i < 100; ++i)
    place.choice.gives(*place.fleet.find("runner-7"), std::vector{artifact(i)});
  std::vector<model::ArtifactRef> inputs;
  for (int i = 1; i < 100; ++i) inputs.push_back(artifact(i));
  inputs.resize(3);
  CHECK(place.chosen(inputs) == "runner-7");  // two of three, and all of the known size's average
  place.built(holder, artifact(2), 10);
  place.choice.gives(holder, inputs);
  CHECK(place.chosen(inputs) == "zz-holder");
}

TEST_CASE("J74: chosen is whom a look at all of them would choose") {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    std::srand(seed);
    const auto dice = [](unsigned sides) { return static_cast<unsigned>(std::rand()) % sides; };
    Place place;
    std::vector<std::pair<wire::JobId, std::string>> given;
    for (int step = 0; step < 1500; ++step) {
      const std::string name = "runner-" + std::to_string(dice(12));
      Runner* const there = place.fleet.find(name);
      switch (dice(9)) {
        case 0:
          place.add(name, 1 + dice(6), dice(4) != 0, there != nullptr ? there->epoch + dice(2) : 1);
          break;
        case 1:
          if (dice(3) == 0) place.fleet.bury(name, 1000, Duration{});
          if (dice(3) == 0 && there != nullptr && there->known) place.fleet.dismiss(*there);
          break;
        case 2:
          if (there != nullptr) place.fleet.set_resting(*there, dice(3) == 0);
          break;
        case 3:
          if (there != nullptr && there->known) place.fleet.set_slots(*there, 1 + dice(6));
          break;
        case 4:
          if (given.empty()) break;
          std::swap(given[dice(static_cast<unsigned>(given.size()))], given.back());
          place.fleet.release(given.back().first, given.back().second);
          given.pop_back();
          break;
        case 5:
          if (there != nullptr && there->known)
            place.built(*there, artifact(static_cast<int>(dice(20))), dice(100), dice(9), dice(9));
          break;
        default: {
          Runner* const runner = place.choice.choose(place.any(), kCredit);
          if (runner == nullptr) break;
          given.emplace_back(wire::JobId{++place.jobs, 1}, runner->instance);
          place.fleet.give(given.back().first, Action::kBuild, runner->instance, Duration{});
          place.choice.gives(*runner, std::vector{artifact(static_cast<int>(dice(20)))});
        }
      }
      std::vector<model::ArtifactRef> inputs;
      for (unsigned i = dice(5); i > 0; --i) inputs.push_back(artifact(static_cast<int>(dice(20))));
      const bool own = dice(3) != 0;
      // Of all: a free slot, not half full beside an empty one, least to travel, most credit.
      const Runner* best = nullptr;
      double least = 2;
      std::uint64_t elsewhere = 0, remote = 0, own_slots = 0;
      const auto load = [](const Runner& runner) {
        return static_cast<double>(runner.given[static_cast<std::size_t>(Resource::kProcess)]) /
               runner.slots;
      };
      const auto may = [&](const Runner& runner) {
        return !runner.resting && (own || runner.offer.remote) &&
               Fleet::left(runner, Action::kBuild, kLimit) > 0;
      };
      for (const auto& [instance, runner] : place.fleet.known()) {
        if (runner->offer.remote) {
          ++remote;
          elsewhere += runner->given[static_cast<std::size_t>(Resource::kProcess)];
        } else {
          own_slots += runner->slots;
        }
        if (may(*runner)) least = std::min(least, load(*runner));
      }
      const auto key = [&](const Runner& runner) {
        return std::tuple(load(runner) >= 1, place.choice.to_travel(runner, inputs),
                          -Fleet::left(runner, Action::kBuild, kLimit));
      };
      for (const auto& [instance, runner] : place.fleet.known()) {
        if (!may(*runner) || (load(*runner) < 1 && load(*runner) >= least + 0.5)) continue;
        if (best == nullptr || key(*runner) < key(*best)) best = runner;
      }
      const Runner* const chosen = place.choice.choose(place.any(), {kLimit, own}, inputs);
      INFO("step " << step);
      REQUIRE((chosen == nullptr) == (best == nullptr));
      if (best != nullptr) REQUIRE(key(*chosen) == key(*best));
      REQUIRE(place.choice.given_elsewhere(Resource::kProcess) == elsewhere);
      REQUIRE(place.choice.own() == place.fleet.size() - remote);
      REQUIRE(place.choice.own_slots() == own_slots);
    }
  }
}

TEST_CASE("requirements are told in words") {
  CHECK(text_of(Requirements{}) == "any platform");
  CHECK(text_of({"linux/rv64g", {"big"}, false}) == "linux/rv64g with the label big");
  CHECK(text_of({"linux/rv64g", {"a", "b"}, true}) ==
        "linux/rv64g with the labels a, b on the session's machine");
}

}  // namespace sluice::scheduler
