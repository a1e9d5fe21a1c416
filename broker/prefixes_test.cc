// spec/records.md R51a: what subscribers want, and how much of it is held for whom.
#include "broker/prefixes.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "wire/access.h"

using namespace sluice;
using namespace sluice::broker;
using Added = Prefixes::Added;

namespace {

std::string log_of(std::size_t job) { return fmt::format("log/{}/", job); }
std::string log_from(std::size_t job) { return fmt::format("log-from/{}/0/r/", job); }

constexpr const char* kEve = "remote/observe/eve";
constexpr const char* kAnn = "remote/observe/ann";
constexpr const char* kHostb = "remote/control/hostb";

// Eve uses up what she has, of `topic`; the number after the last one held.
std::size_t fill(Prefixes& prefixes, std::string (*topic)(std::size_t), const char* who = kEve,
                 std::size_t from = 0) {
  for (std::size_t i = from; i < from + Prefixes::kMostOfKey; ++i)
    REQUIRE(prefixes.add(topic(i), who) == Added::kHeld);
  return from + Prefixes::kMostOfKey;
}

}  // namespace

TEST_CASE("what somebody wants is held once, and as long as anybody does (records R51)") {
  Prefixes prefixes;
  CHECK_FALSE(prefixes.wanted("log/7/"));
  CHECK(prefixes.add("log/7/", kEve) == Added::kHeld);
  CHECK(prefixes.add("log/7/", wire::kOwnerId) == Added::kKnown);
  CHECK(prefixes.wanted("log/7/"));
  CHECK_FALSE(prefixes.wanted("log/70/"));
  CHECK_FALSE(prefixes.wanted("log/"));
  CHECK(prefixes.remove("log/7/").held);
  CHECK_FALSE(prefixes.remove("log/7/").held);
  CHECK(prefixes.empty());
}

TEST_CASE("who has used up his room leaves the others theirs (records R51a)") {
  Prefixes prefixes;
  const std::size_t next = fill(prefixes, log_of);
  CHECK(prefixes.add(log_of(next), kEve) == Added::kWaits);
  CHECK_FALSE(prefixes.wanted(log_of(next)));
  // Logs from a byte on are counted apart, and so is everybody else.
  CHECK(prefixes.add(log_from(1), kEve) == Added::kHeld);
  CHECK(prefixes.add(log_of(1'000'001), kAnn) == Added::kHeld);
  CHECK(prefixes.add(log_of(1'000'002), wire::kOwnerId) == Added::kHeld);
  // Somebody else has room for what she waits for.
  CHECK(prefixes.add(log_of(next), wire::kOwnerId) == Added::kHeld);
  CHECK(prefixes.wanted(log_of(next)));
  CHECK(prefixes.remove(log_of(next)).held);
  // What everybody needs is held in any case, also below and above it.
  for (const char* essential : {"status/", "status/full/", "log/", "log-from/", "job/finished/",
                                "job/", "run/", "run/started/", "", "session/ended/", "s"}) {
    CHECK(prefixes.add(essential, kEve) == Added::kHeld);
    CHECK(Prefixes::essential(essential));
  }
  for (const char* other : {"log/7/", "log-from/7/", "status/x/", "job/finished/x"})
    CHECK_FALSE(Prefixes::essential(other));
}

TEST_CASE("what has waited is taken up when there is room, in its order (records R51a)") {
  Prefixes prefixes;
  const std::size_t next = fill(prefixes, log_of);
  REQUIRE(prefixes.add(log_of(next), kEve) == Added::kWaits);
  REQUIRE(prefixes.add(log_of(next + 1), kEve) == Added::kWaits);
  REQUIRE(prefixes.add(log_of(next + 1), kEve) == Added::kWaits);
  REQUIRE(prefixes.add(log_of(next + 2), kEve) == Added::kWaits);
  // One that is wanted no more doesn't wait, and nothing was held for it.
  CHECK_FALSE(prefixes.remove(log_of(next)).held);
  auto removed = prefixes.remove(log_of(3));
  CHECK(removed.held);
  CHECK(removed.taken == std::vector<std::string>{log_of(next + 1)});
  CHECK(prefixes.wanted(log_of(next + 1)));
  CHECK_FALSE(prefixes.wanted(log_of(next + 2)));
  // Another's room isn't hers.
  REQUIRE(prefixes.add(log_of(1'000'000), kAnn) == Added::kHeld);
  CHECK(prefixes.remove(log_of(1'000'000)).taken.empty());
  CHECK(prefixes.remove(log_of(4)).taken == std::vector<std::string>{log_of(next + 2)});
}

TEST_CASE("what waits is limited too") {
  Prefixes prefixes;
  std::size_t next = fill(prefixes, log_from);
  for (std::size_t i = 0; i < Prefixes::kMostWaitOfKey; ++i)
    REQUIRE(prefixes.add(log_from(next++), kEve) == Added::kWaits);
  CHECK(prefixes.add(log_from(next), kEve) == Added::kForgotten);
  CHECK(prefixes.add(log_from(next), kAnn) == Added::kHeld);
}

TEST_CASE("keys of one role leave the other roles, and the session's machine, their room") {
  Prefixes prefixes;
  std::size_t next = 0;
  std::size_t keys = 0;
  for (; keys < Prefixes::kMostOfRole / Prefixes::kMostOfKey; ++keys)
    next = fill(prefixes, log_of, fmt::format("remote/observe/eve-{}", keys).c_str(), next);
  CHECK(prefixes.add(log_of(next), kAnn) == Added::kWaits);
  CHECK(prefixes.add(log_of(next + 1), kHostb) == Added::kHeld);
  CHECK(prefixes.add(log_of(next + 2), wire::kOwnerId) == Added::kHeld);
  // Room of the role is anybody's who has waited.
  CHECK(prefixes.remove(log_of(0)).taken == std::vector<std::string>{log_of(next)});
}
