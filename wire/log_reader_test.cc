// Reading a log from a byte on, with a runner that loses, repeats and mixes up what it says.
#include "wire/log_reader.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "wire/events.h"

namespace sluice::wire {
namespace {

constexpr JobId kJob{7, 2};

struct Broker {
  Broker() {
    auto made = Socket::create(context, SocketKind::kXPub, {});
    REQUIRE(made);
    socket.emplace(std::move(*made));
    endpoint.endpoint = fmt::format("inproc://log-reader-{}", ::getpid());
    REQUIRE(socket->bind(endpoint.endpoint));
    LogReader::Callbacks callbacks;
    callbacks.on_text = [this](std::string_view more) { text += more; };
    callbacks.on_end = [this] { ended = true; };
    callbacks.on_refused = [this](const Error& error) { refused = error.reason; };
    callbacks.on_silence = [this](Duration) { ++silences; };
    auto created = LogReader::create(context, reactor, endpoint, kJob, "far", 10, callbacks);
    REQUIRE(created);
    reader = std::move(*created);
  }

  void turn() {
    for (int i = 0; i < 20; ++i) reactor.run_once(std::chrono::milliseconds(1));
  }

  // The topic that is subscribed to next.
  std::string asked() {
    for (int i = 0; i < 5000; ++i) {
      reactor.run_once(std::chrono::milliseconds(1));
      while (const auto frames = socket->receive()) {
        if (frames->size() == 1 && (*frames)[0][0] == 1) return (*frames)[0].substr(1);
      }
    }
    FAIL("nothing was asked for");
    return {};
  }
  bool asks_nothing() {
    turn();
    while (const auto frames = socket->receive()) {
      if ((*frames)[0][0] == 1) return false;
    }
    return true;
  }

  void say(const std::string& topic, std::string_view said, const LogPlace& place,
           std::string_view reason = {}, JobId id = kJob, const std::string& runner = "far") {
    JobSection job;
    job.id = id.job;
    job.attempt = id.attempt;
    job.runner = runner;
    EventHead head;
    head.type = "log";
    head.text = said;
    ErrorSection error;
    error.domain = "log";
    error.reason = reason;
    const std::string section = pack_section("job", job), where = encode(place),
                      why = reason.empty() ? join_maps({}) : pack_section("error", error);
    REQUIRE(socket->send(topic, pack_event(head, {section, where, why})));
    turn();
  }

  Context context;
  Reactor reactor;
  std::optional<Socket> socket;
  Address endpoint;
  std::string text, refused;
  bool ended = false;
  int silences = 0;
  std::unique_ptr<LogReader> reader;
};

TEST_CASE("R59: a log is read in windows, each byte once, to its end") {
  Broker broker;
  const std::string first = broker.asked();
  CHECK(first.starts_with("log-from/7/10/"));
  broker.say(first, "abc", {10, 100});
  broker.say(first, "", {13, 100});
  CHECK(broker.asks_nothing());
  broker.say(first, "def", {13, 100, true});
  const std::string second = broker.asked();
  CHECK(second.starts_with("log-from/7/16/"));
  // The old window is over, whatever comes of it.
  broker.say(first, "xyz", {16, 100});
  CHECK(broker.text == "abcdef");
  // Parts that it has are left out.
  broker.say(second, "efg", {14, 17, true, true});
  CHECK(broker.text == "abcdefg");
  CHECK(broker.ended);
  CHECK(broker.reader->offset() == 17);
  CHECK(broker.asks_nothing());
}

TEST_CASE("R59: what was lost is asked for again; another attempt is another log") {
  Broker broker;
  const std::string first = broker.asked();
  broker.say(first, "other attempt", {10, 100}, {}, {7, 1});
  broker.say(first, "other runner", {10, 100}, {}, kJob, "near");
  broker.say(first, "other job", {10, 100}, {}, {8, 2});
  broker.say(first, "gone", {10, 10, true}, "past-end", {7, 1});
  CHECK(broker.text.empty());
  CHECK(broker.refused.empty());
  CHECK(broker.asks_nothing());
  broker.say(first, "late", {20, 100});
  CHECK(broker.text.empty());
  const std::string second = broker.asked();
  CHECK(second.starts_with("log-from/7/10/"));
  CHECK(second != first);
  // Not heard at all, after a while: again, by another name.
  const std::string third = broker.asked();
  CHECK(third.starts_with("log-from/7/10/"));
  CHECK(third != second);
  CHECK(broker.silences == 1);
  broker.say(third, "", {0, 5, true}, "too-many");
  CHECK(broker.refused.empty());
  broker.say(third, "", {0, 5, true}, "past-end");
  CHECK(broker.refused == "past-end");
  CHECK(broker.asks_nothing());
}

}  // namespace
}  // namespace sluice::wire
