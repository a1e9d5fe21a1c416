// Runners, leases and credit, without anything else.
#include "scheduler/fleet.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <catch2/catch.hpp>

namespace sluice::scheduler {

namespace {

using std::chrono::seconds;

wire::RunnerHello hello(const std::string& instance, std::uint32_t slots = 2,
                        std::uint64_t epoch = 1) {
  wire::RunnerHello message;
  message.hello.instance = instance;
  message.hello.epoch = epoch;
  message.slots = slots;
  return message;
}

std::vector<std::string> names(const Fleet& fleet) {
  std::vector<std::string> out;
  for (const auto& [instance, runner] : fleet.known()) out.emplace_back(instance);
  return out;
}

}  // namespace

TEST_CASE("fleet: a runner is heard at its last connection, and at no other") {
  Fleet fleet(kLease);
  fleet.welcome("first", hello("a"), seconds(1));
  REQUIRE(fleet.at("first") != nullptr);
  fleet.welcome("second", hello("a"), seconds(2));
  CHECK(fleet.at("first") == nullptr);
  CHECK(fleet.at("second")->instance == "a");
  CHECK(fleet.size() == 1);
}

TEST_CASE("fleet: what a runner that died has in hand is in doubt, and its successor's") {
  Fleet fleet(kLease);
  fleet.welcome("p", hello("a"), seconds(1));
  fleet.give({1, 1}, Action::kBuild, "a", seconds(1));
  fleet.start({1, 1}, "a");
  fleet.bury("a", 1, seconds(2));
  CHECK(fleet.find("a") == nullptr);
  CHECK(fleet.at("p") == nullptr);
  CHECK(fleet.died("a") == 1);
  CHECK(fleet.credit(Action::kBuild, 8, 0).given == 0);
  Runner& runner = fleet.welcome("q", hello("a", 2, 2), seconds(3));
  CHECK(fleet.current({1, 1}, runner)->state == Lease::State::kInDoubt);
  CHECK(fleet.current({1, 2}, runner) == nullptr);
  CHECK(fleet.credit(Action::kBuild, 8, 0).given == 1);
  // The death of a process before that one is no news.
  fleet.bury("a", 1, seconds(4));
  CHECK(names(fleet) == std::vector<std::string>{"a"});
}

TEST_CASE("fleet: J41: a beat renews what it lists and what has not started, nothing else") {
  Fleet fleet(kLease);
  Runner& runner = fleet.welcome("p", hello("a", 4), seconds(0));
  for (std::uint64_t job = 1; job <= 4; ++job)
    fleet.give({job, 1}, Action::kBuild, "a", seconds(0));
  for (std::uint64_t job = 1; job <= 3; ++job) fleet.start({job, 1}, "a");
  fleet.give({9, 1}, Action::kBuild, "elsewhere", seconds(0));
  // 1 runs, 2 waits in the outbox, 3 isn't listed, 4 has not started; 7 is nobody's.
  const auto heard =
      fleet.beat(runner, wire::RunnerBeat{{{1, 1}, {7, 1}}, false, {{2, 1}}}, seconds(5));
  CHECK(heard.unwanted == std::vector<wire::JobId>{{7, 1}});
  CHECK(heard.started.empty());
  CHECK(fleet.expired(seconds(10)).empty());
  const auto first = fleet.expired(seconds(11));
  REQUIRE(first.size() == 2);
  CHECK(first[0].id == wire::JobId{3, 1});
  CHECK(first[1].id == wire::JobId{9, 1});
  fleet.release({3, 1}, "a");
  fleet.release({9, 1}, "elsewhere");
  CHECK(fleet.expired(seconds(15)).empty());
  CHECK(fleet.expired(seconds(16)).size() == 3);
}

TEST_CASE("fleet: who is silent is forgotten, at once when he has nothing in hand") {
  Fleet fleet(kLease);
  fleet.welcome("p", hello("idle"), seconds(0));
  fleet.welcome("q", hello("busy"), seconds(0));
  fleet.give({1, 1}, Action::kFetch, "busy", seconds(0));
  fleet.forget_silent(seconds(10), seconds(30));
  CHECK(fleet.size() == 2);
  fleet.forget_silent(seconds(11), seconds(30));
  CHECK(names(fleet) == std::vector<std::string>{"busy"});
  fleet.forget_silent(seconds(31), seconds(30));
  CHECK(fleet.size() == 0);
  CHECK(fleet.current({1, 1}, "busy") != nullptr);
}

TEST_CASE("fleet: who isn't known and has nothing in hand is remembered for a while") {
  Fleet fleet(kLease);
  fleet.welcome("p", hello("leaves"), seconds(0));
  fleet.welcome("q", hello("has a job"), seconds(0));
  fleet.welcome("r", hello("died"), seconds(0));
  fleet.welcome("s", hello("comes again"), seconds(0));
  fleet.give({1, 1}, Action::kBuild, "has a job", seconds(0));
  fleet.bury("died", 1, seconds(0));
  for (const char* peer : {"p", "q", "s"}) fleet.disconnect(peer);
  CHECK(fleet.size() == 0);
  const auto judge = [&](Duration now) {
    const std::size_t expired = fleet.expired(now).size();
    fleet.forget_silent(now, seconds(30));
    return expired;
  };
  CHECK(judge(seconds(10)) == 0);
  CHECK(judge(seconds(11)) == 1);
  judge(kRemembered);
  CHECK(fleet.remembered() == 4);
  fleet.welcome("t", hello("comes again", 2, 2), kRemembered);
  judge(kRemembered + seconds(1));
  // Whether a HELLO is of a process that is dead must be known for ever.
  CHECK(fleet.remembered() == 3);
  CHECK(fleet.died("died") == 1);
  CHECK(fleet.find("comes again") != nullptr);
  fleet.release({1, 1}, "has a job");
  judge(kRemembered + seconds(2));
  CHECK(fleet.remembered() == 2);
  // It is looked at as one that is new.
  judge(kRemembered + seconds(11));
  CHECK(fleet.size() == 0);
}

TEST_CASE("fleet: leases end when a look at all of them says so, whatever was looked at") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    std::srand(seed);
    Fleet fleet(kLease);
    std::map<std::uint64_t, std::pair<std::string, Duration>> leases;  // by job
    std::map<std::string, Duration> heard;                             // of those that are known
    std::uint64_t job = 0;
    for (Duration now = seconds(1); now < seconds(300); now += std::chrono::milliseconds(500)) {
      const std::string name = "r" + std::to_string(std::rand() % 8);
      Runner* const runner = fleet.find(name);
      if (runner == nullptr && std::rand() % 4 == 0) {
        fleet.welcome("at " + name, hello(name), now);
        heard[name] = now;
      } else if (runner != nullptr && std::rand() % 2 == 0) {
        fleet.give({++job, 1}, Action::kBuild, name, now);
        fleet.start({job, 1}, name);
        leases[job] = {name, now + kLease};
      } else if (runner != nullptr && std::rand() % 2 == 0) {
        wire::RunnerBeat beat;
        for (auto& [id, lease] : leases) {
          if (lease.first != name || std::rand() % 2 == 0) continue;
          beat.running.push_back({id, 1});
          lease.second = now + kLease;
        }
        runner->heard = heard[name] = now;
        fleet.beat(*runner, beat, now);
      } else if (runner != nullptr && std::rand() % 8 == 0) {
        fleet.disconnect("at " + name);
        heard.erase(name);
      } else if (std::rand() % 50 == 0) {
        fleet.renew_all(now);
        for (auto& [id, lease] : leases) lease.second = now + kLease;
        for (auto& [each, when] : heard) when = now;
      }
      std::vector<std::uint64_t> found, wanted;
      for (const auto& expired : fleet.expired(now)) found.push_back(expired.id.job);
      for (const auto& [id, lease] : leases) {
        if (lease.second < now) wanted.push_back(id);
      }
      REQUIRE(found == wanted);
      for (const std::uint64_t id : found) {
        fleet.release({id, 1}, leases.at(id).first);
        leases.erase(id);
      }
      fleet.forget_silent(now, 3 * kLease);
      std::erase_if(heard, [&](const auto& each) {
        const bool busy = std::any_of(leases.begin(), leases.end(), [&](const auto& lease) {
          return lease.second.first == each.first;
        });
        return each.second + (busy ? 3 : 1) * kLease < now;
      });
      REQUIRE(fleet.size() == heard.size());
    }
  }
}

TEST_CASE("fleet: J75: what the session's own have in hand counts, whether they are known or not") {
  Fleet fleet(kLease);
  const auto own = [&] { return fleet.given_own(Resource::kProcess); };
  // By their names, as long as nobody has said what he is.
  fleet.doubt({1, 1}, Action::kBuild, true, "runner", Duration{});
  fleet.doubt({2, 1}, Action::kBuild, true, "far", Duration{});
  fleet.doubt({3, 1}, Action::kBuild, true, "near", Duration{});
  CHECK(own() == 1);
  wire::RunnerHello hello;
  hello.hello.epoch = 1;
  hello.slots = 4;
  hello.hello.instance = "near";
  fleet.welcome("peer", hello, Duration{});
  CHECK(own() == 2);
  fleet.welcome("other peer", hello, Duration{});
  CHECK(own() == 2);
  fleet.give({4, 1}, Action::kBuild, "near", Duration{});
  fleet.give({5, 1}, Action::kFetch, "near", Duration{});
  fleet.disconnect("other peer");
  CHECK(own() == 3);
  hello.hello.instance = "far";
  hello.remote = true;
  fleet.welcome("peer of far", hello, Duration{});
  fleet.give({6, 1}, Action::kBuild, "far", Duration{});
  CHECK(own() == 3);
  fleet.release({1, 1}, "runner");
  fleet.release({3, 1}, "near");
  CHECK(own() == 1);
}

TEST_CASE("fleet: it is known how many are suspended") {
  Fleet fleet(kLease);
  Runner& a = fleet.welcome("p", hello("a"), seconds(0));
  fleet.welcome("q", hello("b"), seconds(0));
  CHECK(fleet.going() == 2);
  fleet.set_suspended(a, true);
  fleet.set_suspended(a, true);
  CHECK(fleet.going() == 1);
  SECTION("it goes") { fleet.disconnect("p"); }
  SECTION("the other goes") {
    fleet.disconnect("q");
    CHECK(fleet.going() == 0);
    fleet.set_suspended(a, false);
  }
  SECTION("it comes again") {
    fleet.welcome("r", hello("a"), seconds(1));
    fleet.disconnect("q");
  }
  CHECK(fleet.going() == 1);
}

TEST_CASE("fleet: J22: the freest runner is the one that a look at all of them finds") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    std::srand(seed);
    const auto dice = [](unsigned sides) { return static_cast<unsigned>(std::rand()) % sides; };
    Fleet fleet(kLease);
    std::uint64_t next_job = 0;
    std::vector<std::pair<wire::JobId, std::string>> given;
    constexpr std::uint32_t kLimit = 5;
    for (int step = 0; step < 2000; ++step) {
      const std::string name = "runner-" + std::to_string(dice(9));
      switch (dice(8)) {
        case 0: fleet.welcome("peer of " + name, hello(name, 1 + dice(20)), seconds(0)); break;
        case 1:
          if (dice(4) == 0) fleet.bury(name, 1, seconds(0));
          break;
        case 2:
          if (Runner* const runner = fleet.find(name)) fleet.set_slots(*runner, 1 + dice(20));
          break;
        case 3:
        case 4:
          if (given.empty()) break;
          std::swap(given[dice(static_cast<unsigned>(given.size()))], given.back());
          fleet.release(given.back().first, given.back().second);
          given.pop_back();
          break;
        default: {
          const Action action =
              model::kActions[dice(static_cast<unsigned>(model::kActions.size()))].action;
          Runner* const runner = fleet.freest(action, kLimit);
          const std::string to = runner != nullptr ? runner->instance : name;
          given.emplace_back(wire::JobId{++next_job, 1}, to);
          fleet.give(given.back().first, action, to, seconds(0));
        }
      }
      const std::uint32_t set = dice(2) * 7;
      for (const model::ActionTraits& traits : model::kActions) {
        const Runner* best = nullptr;
        std::uint32_t free = 0;
        Fleet::Credit all;
        for (const auto& [instance, runner] : fleet.known()) {
          const std::uint32_t at_once = traits.resource == Resource::kProcess  ? runner->slots
                                        : traits.resource == Resource::kRunner ? kRunnerCapacity
                                                                               : kLimit;
          const std::uint32_t more =
              traits.brief ? std::max(kBriefPrefill, runner->slots) : kPrefill;
          const std::uint32_t has = runner->given[static_cast<std::size_t>(traits.resource)];
          all.together += std::max(at_once, set);
          all.given += has;
          all.more += more;
          if (has < at_once + more && at_once + more - has > free) {
            free = at_once + more - has;
            best = runner;
          }
        }
        INFO(traits.name << " after step " << step);
        REQUIRE(fleet.freest(traits.action, kLimit) == best);
        const Fleet::Credit credit = fleet.credit(traits.action, kLimit, set);
        REQUIRE(credit.together == all.together);
        REQUIRE(credit.given == all.given);
        REQUIRE(credit.more == all.more);
      }
    }
  }
}

}  // namespace sluice::scheduler
