#include "broker/under_way.h"

#include <vector>

#include <catch2/catch.hpp>

using namespace sluice::broker;

TEST_CASE("a peer gets so much that it hasn't read, and goes on when it has (records R20a)") {
  UnderWay under_way;
  CHECK(under_way.room("a") == UnderWay::kMessage);
  auto first = under_way.hold("a", UnderWay::kMessage);
  CHECK(under_way.room("a") == UnderWay::kMessage);
  auto second = under_way.hold("a", UnderWay::kMessage);
  CHECK(under_way.room("a") == 0);
  CHECK(under_way.room("b") == UnderWay::kMessage);
  first.reset();
  CHECK(under_way.room("a") == UnderWay::kMessage);
  second.reset();
  CHECK(under_way.bytes() == 0);
  CHECK(under_way.peers() == 1);
  under_way.sweep();
  CHECK(under_way.peers() == 0);
}

TEST_CASE("what a peer asks for and doesn't read is kept up to a limit (control C18)") {
  UnderWay under_way;
  std::vector<std::shared_ptr<void>> kept;
  std::size_t sent = 0;
  const Send send = bounded(
      [&](const std::string&, std::string_view, std::string body, std::shared_ptr<void> held) {
        sent += body.size();
        if (held) kept.push_back(std::move(held));
        return Sent::kSent;
      },
      under_way, "REPLY");
  const std::string body(100'000, 'x');
  unsigned replies = 0;
  while (replies < 1000 && send("a", "REPLY", body) == Sent::kSent) ++replies;
  CHECK(replies >= UnderWay::kMostOfPeer / 100'000);
  CHECK(sent <= UnderWay::kMostOfPeer + body.size());
  CHECK(send("a", "HEARTBEAT", body) == Sent::kSent);
  CHECK(send("b", "REPLY", body) == Sent::kSent);
  kept.clear();
  CHECK(send("a", "REPLY", body) == Sent::kSent);
}

TEST_CASE("many that read nothing leave the others little, but something (records R20a)") {
  UnderWay under_way;
  std::vector<std::shared_ptr<void>> held;
  for (std::size_t i = 0; under_way.bytes() < UnderWay::kMost; ++i) {
    for (int twice = 0; twice < 2; ++twice)
      held.push_back(under_way.hold("p" + std::to_string(i), UnderWay::kMessage));
  }
  CHECK(under_way.room("p0") == 0);
  CHECK(under_way.room("reads") == UnderWay::kLittle);
  auto little = under_way.hold("reads", 1);
  CHECK(under_way.room("reads") == 0);
  under_way.sweep();  // what is under way isn't forgotten
  CHECK(under_way.room("reads") == 0);
  little.reset();
  CHECK(under_way.room("reads") == UnderWay::kLittle);
  // It outlives who counts.
  auto last = under_way.hold("last", 1);
  under_way = UnderWay();
  last.reset();
}
