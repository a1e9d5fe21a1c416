// Deliveries to a destination that comes and goes.
#include "renderer/collect/delivery.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace sluice;
using namespace sluice::collect;
using namespace std::chrono_literals;

namespace {

class Flaky final : public Destination {
 public:
  std::optional<Message> encode(const Record&) override { return std::nullopt; }
  Status deliver(const std::vector<Message>& batch) override {
    const std::lock_guard lock(mutex);
    ++calls;
    if (!refusal.empty()) return fail("collect", refusal, "no");
    for (const Message& message : batch) {
      if (bad.contains(message.cursor)) return fail("collect", "bad-records", "no such thing");
    }
    for (const Message& message : batch) taken.push_back(message.cursor);
    return {};
  }
  std::size_t most_messages() const override { return 3; }

  std::mutex mutex;
  std::string refusal;          // the reason
  std::set<std::uint64_t> bad;  // cursors
  int calls = 0;
  std::vector<std::uint64_t> taken;
};

Message message(std::uint64_t cursor, std::string body = "x", std::string session = "s") {
  Message out;
  out.session = std::move(session);
  out.cursor = cursor;
  out.body = std::move(body);
  return out;
}

struct World {
  Flaky flaky;
  wire::Reactor reactor;
  std::map<std::string, std::uint64_t> delivered;
  int failures = 0, recovered = 0;
  bool ended = false;
  std::vector<std::uint64_t> left_out;
  std::unique_ptr<Delivery> delivery;

  World() {
    Delivery::Callbacks callbacks;
    callbacks.on_delivered = [this](const std::string& session, std::uint64_t cursor) {
      CHECK(cursor > delivered[session]);
      delivered[session] = cursor;
    };
    callbacks.on_room = [] {};
    callbacks.on_failed = [this](const Error&, std::optional<Duration> wait) {
      ++failures;
      ended = !wait;
    };
    callbacks.on_recovered = [this] { ++recovered; };
    callbacks.on_left_out = [this](const Message& message, const Error& error) {
      CHECK(error.message == "no such thing");
      left_out.push_back(message.cursor);
    };
    delivery = Delivery::create(reactor, flaky, std::move(callbacks)).value();
  }

  void until(const std::function<bool()>& condition) {
    const Duration deadline = system_clock().monotonic() + 30s;
    while (!condition() && system_clock().monotonic() < deadline) reactor.run_once(10ms);
    REQUIRE(condition());
  }
  void refuse(std::string reason) {
    const std::lock_guard lock(flaky.mutex);
    flaky.refusal = std::move(reason);
  }
};

}  // namespace

TEST_CASE("what couldn't be delivered is, in order, when it can") {
  World world;
  world.refuse("unavailable");
  for (std::uint64_t cursor = 1; cursor <= 10; ++cursor) {
    if (cursor % 4 == 0) {
      world.delivery->skip("s", cursor);
    } else {
      world.delivery->add(message(cursor));
    }
  }
  world.until([&] { return world.failures >= 2; });
  CHECK(world.delivered.empty());
  CHECK_FALSE(world.delivery->idle());
  CHECK_FALSE(world.ended);
  world.refuse("");
  world.until([&] { return world.delivery->idle(); });
  CHECK(world.flaky.taken == std::vector<std::uint64_t>{1, 2, 3, 5, 6, 7, 9, 10});
  CHECK(world.delivered["s"] == 10);
  CHECK(world.recovered == 1);
}

TEST_CASE("a session's cursor moves by what is skipped, too, and by nothing of another session") {
  World world;
  world.delivery->skip("s", 1);
  CHECK(world.delivered["s"] == 1);
  world.refuse("unavailable");
  world.delivery->add(message(1, "x", "other"));
  world.delivery->skip("s", 2);
  world.delivery->skip("s", 3);
  world.until([&] { return world.failures >= 1; });
  CHECK(world.delivered["s"] == 1);
  world.refuse("");
  world.until([&] { return world.delivery->idle(); });
  CHECK(world.delivered == std::map<std::string, std::uint64_t>{{"other", 1}, {"s", 3}});
}

TEST_CASE("past a megabyte no more is wanted until there is room") {
  World world;
  world.refuse("unavailable");
  std::uint64_t cursor = 0;
  while (!world.delivery->full() && cursor < 1000)
    world.delivery->add(message(++cursor, std::string(10'000, 'x')));
  CHECK(cursor < 110);
  world.refuse("");
  world.until([&] { return world.delivery->idle(); });
  CHECK_FALSE(world.delivery->full());
  CHECK(world.delivered["s"] == cursor);
}

TEST_CASE("what is refused for good ends it") {
  World world;
  world.refuse("refused");
  world.delivery->add(message(1));
  world.until([&] { return world.ended; });
  world.delivery->add(message(2));
  world.reactor.run_once(20ms);
  CHECK(world.flaky.calls == 1);
  CHECK(world.delivered.empty());
}

TEST_CASE("a record that is refused for what it is is left out, and keeps no other one back") {
  World world;
  world.flaky.bad = {1, 4, 6};
  for (std::uint64_t cursor = 1; cursor <= 7; ++cursor) world.delivery->add(message(cursor));
  world.until([&] { return world.delivery->idle(); });
  CHECK(world.flaky.taken == std::vector<std::uint64_t>{2, 3, 5, 7});
  CHECK(world.left_out == std::vector<std::uint64_t>{1, 4, 6});
  CHECK(world.delivered["s"] == 7);
  CHECK(world.failures == 0);
}
