// spec/records.md, "Live events", with those who come from elsewhere: real sockets with keys.
#include "broker/fanout.h"

#include <optional>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/fd.h"
#include "tests/support/loopback.h"
#include "tests/support/test_directory.h"
#include "wire/events.h"
#include "wire/listening.h"
#include "wire/live.h"
#include "wire/message_limit.h"
#include "wire/zap.h"

using namespace sluice;
using namespace sluice::broker;
using namespace std::chrono_literals;

namespace {

const std::string kSecret(32, 's');

// The broker's live sockets, on ipc and TCP; a publisher and a subscriber of its own machine.
struct Fixture {
  TestDirectory owned;
  const std::string directory = owned.str();
  wire::AccessKeys keys;
  wire::AccessList list;
  UniqueFd in_fd = loopback_listener(), out_fd = loopback_listener();
  wire::Context context;
  wire::Reactor reactor;
  wire::ServiceOptions service;
  std::unique_ptr<wire::ZapHandler> zap;
  std::optional<wire::Listening> in, out;
  std::optional<Fanout> fanout;
  std::unique_ptr<wire::LivePublisher> publisher;
  std::unique_ptr<wire::LiveSubscriber> subscriber;
  std::vector<std::string> heard;  // topics, by the subscriber

  Fixture() {
    keys.server = wire::make_curve_keys().value();
    keys.ticket_secret = kSecret;
    REQUIRE(wire::write_access_keys(directory, keys).has_value());
    service.paths.id = "s";
    service.paths.state = service.paths.runtime = directory;
    service.listening["tcp/live-in"] = in_fd.get();
    service.listening["tcp/live-out"] = out_fd.get();
  }
  ~Fixture() {
    subscriber.reset();
    publisher.reset();
    if (in) reactor.remove_socket(in->socket());
    if (out) reactor.remove_socket(out->socket());
  }
  wire::CurveKeys add(std::string_view role, std::string name) {
    const wire::CurveKeys pair = wire::make_curve_keys().value();
    wire::AccessEntry entry;
    entry.public_key = pair.public_key;
    entry.role = role;
    entry.name = std::move(name);
    list.entries.push_back(entry);
    REQUIRE(wire::write_access_list(directory, list).has_value());
    return pair;
  }
  void begin(const std::vector<std::string>& wanted) {
    zap = wire::ZapHandler::create(context, reactor, directory).value();
    in.emplace(
        wire::Listening::create(context, wire::SocketKind::kXSub, service, "live-in", 0).value());
    out.emplace(
        wire::Listening::create(context, wire::SocketKind::kXPub, service, "live-out", 0).value());
    REQUIRE(in->open().has_value());
    REQUIRE(out->open().has_value());
    fanout.emplace(in->socket(), out->socket());
    fanout->check_tickets_by(kSecret);
    reactor.on_socket(in->socket(), [this] { fanout->events(256); });
    reactor.on_socket(out->socket(), [this] { fanout->subscriptions(256); });
    publisher =
        wire::LivePublisher::create(context, reactor, service.paths.endpoint("live-in")).value();
    subscriber =
        wire::LiveSubscriber::create(
            context, reactor, service.paths.endpoint("live-out"), wanted,
            [this](std::string_view topic, std::string_view) { heard.emplace_back(topic); })
            .value();
    for (const std::string& each : wanted) REQUIRE(until([&] { return publisher->wanted(each); }));
  }
  bool until(const std::function<bool()>& done, Duration limit = 20s) {
    const Duration end = system_clock().monotonic() + limit;
    while (!done()) {
      if (system_clock().monotonic() >= end) return false;
      reactor.run_once(10ms);
    }
    return true;
  }
  wire::Address address(const UniqueFd& to, const wire::CurveKeys& by) {
    return {endpoint_of(to), wire::CurveClient{keys.server.public_key, by}};
  }
  wire::Socket from_elsewhere(wire::SocketKind kind, const UniqueFd& to,
                              const wire::CurveKeys& by) {
    wire::Socket socket = wire::Socket::create(context, kind, {}).value();
    REQUIRE(socket.connect(address(to, by)).has_value());
    return socket;
  }
  // That what the publisher says under `topic` is heard.
  bool is_heard(const std::string& topic) {
    heard.clear();
    return until([&] {
      publisher->publish(topic, [] { return wire::pack_event({.type = "status", .time = 1}, {}); });
      return std::find(heard.begin(), heard.end(), topic) != heard.end();
    });
  }
};

std::string said(char what, std::string_view topic) { return what + std::string(topic); }

}  // namespace

TEST_CASE_METHOD(Fixture, "an observer takes nobody's subscription back (records R51b)") {
  const auto eve = add("observe", "eve");
  begin({"status/", "log/7/"});
  for (const std::string topic : {"status/", "log/7/"}) {
    const std::uint64_t before = wire::connections_reset();
    // An XSUB of ZeroMQ's says only the end of what it has subscribed to. But what its queue has no
    // room for when it connects it never says, and says its end all the same.
    wire::SocketOptions small;
    small.high_water_mark = 1;
    wire::Socket raw = wire::Socket::create(context, wire::SocketKind::kXSub, small).value();
    REQUIRE(raw.send(wire::Frames{said(1, "a/" + topic)}));
    REQUIRE(raw.send(wire::Frames{said(1, topic)}));
    REQUIRE(raw.connect(address(out_fd, eve)).has_value());
    REQUIRE(until([&] { return publisher->wanted("a/" + topic); }));
    REQUIRE(raw.send(wire::Frames{said(0, topic)}));
    CHECK(until([&] { return wire::connections_reset() > before; }));
    // Its own goes with its connection; and comes again, for ZeroMQ connects again.
    CHECK(is_heard(topic));
    CHECK(publisher->wanted(topic));
  }
}

TEST_CASE_METHOD(Fixture, "an observer that subscribes to very much leaves others theirs (R51a)") {
  const auto eve = add("observe", "eve");
  begin({"status/"});
  std::vector<wire::Socket> many;
  std::size_t said_so_far = 0;
  for (int connection = 0; connection < 10; ++connection) {
    wire::Socket sub = from_elsewhere(wire::SocketKind::kSub, out_fd, eve);
    for (int i = 0; i < 900; ++i)
      REQUIRE(sub.subscribe(fmt::format("log/{}/", 1000 + said_so_far++)).has_value());
    many.push_back(std::move(sub));
  }
  const auto held = [&] {
    std::size_t count = 0;
    for (std::size_t i = 0; i < said_so_far; ++i)
      count += publisher->wanted(fmt::format("log/{}/", 1000 + i)) ? 1 : 0;
    return count;
  };
  REQUIRE(until([&] { return held() == Prefixes::kMostOfKey; }));
  CHECK(is_heard("status/"));
  // Those who come later get what they need, also what she has no room for.
  REQUIRE(subscriber->subscribe("log/7/").has_value());
  CHECK(is_heard("log/7/"));
  for (std::size_t i = 0; i < said_so_far; i += 500) {
    const std::string topic = fmt::format("log/{}/", 1000 + i);
    REQUIRE(subscriber->subscribe(topic).has_value());
    CHECK(is_heard(topic));
  }
  CHECK(fanout->malformed() > 0);
  // With her connections what she had goes, and nothing else.
  many.clear();
  CHECK(until([&] { return !publisher->wanted("log/1001/"); }));
  CHECK(is_heard("log/7/"));
  CHECK(is_heard("log/1500/"));
}

TEST_CASE_METHOD(Fixture, "a long subscription ends its connection, and is kept by nobody (R51c)") {
  const auto eve = add("observe", "eve");
  begin({"status/"});
  const std::uint64_t before = fanout->malformed();
  wire::Socket watched = from_elsewhere(wire::SocketKind::kXSub, out_fd, eve);
  REQUIRE(watched.send(wire::Frames{said(1, "log/1/")}));
  REQUIRE(until([&] { return publisher->wanted("log/1/"); }));
  // Longer than a topic is: it arrives, and is counted.
  REQUIRE(watched.send(wire::Frames{said(1, std::string(300, 'x'))}));
  REQUIRE(until([&] { return fanout->malformed() > before; }));
  // Longer than anything that has a topic in it: its connection is lost, again and again.
  wire::Socket events = watched.watch(context, ZMQ_EVENT_DISCONNECTED).value();
  REQUIRE(watched.send(wire::Frames{said(1, std::string(64 << 10, 'x'))}));
  CHECK(until([&] { return events.receive().has_value(); }));
  watched.unwatch();
  CHECK(is_heard("status/"));
}

TEST_CASE_METHOD(Fixture, "an event from elsewhere is of 256 KiB at most (records R52a)") {
  const auto runner = add("runner", "hostb");
  begin({"log/7/"});
  const std::string ticket = wire::job_ticket(kSecret, 7, 1, "hostb", "");
  wire::Socket live = from_elsewhere(wire::SocketKind::kXPub, in_fd, runner);
  bool asked = false;
  REQUIRE(until([&] { return asked = asked || live.receive().has_value(); }));
  const auto event = [&](std::size_t bytes) {
    wire::JobSection section;
    section.id = 7;
    section.attempt = 1;
    section.runner = "hostb";
    return wire::pack_event({.type = "log", .time = 1, .text = std::string(bytes, 'x')},
                            {wire::pack_section("job", section)});
  };
  const auto says = [&](std::size_t bytes) {
    return live.send(wire::Frames{"log/7/", event(bytes), ticket});
  };
  REQUIRE(says(64 << 10));
  REQUIRE(until([&] { return heard.size() == 1; }));
  REQUIRE(says((256 << 10) - 512));
  REQUIRE(until([&] { return heard.size() == 2; }));
  const std::uint64_t before = fanout->malformed();
  REQUIRE(says(256 << 10));
  REQUIRE(until([&] { return fanout->malformed() == before + 1; }));
  REQUIRE(says(100));
  REQUIRE(until([&] { return heard.size() == 3; }));
  // What is far larger isn't even taken in.
  wire::Socket events = live.watch(context, ZMQ_EVENT_DISCONNECTED).value();
  REQUIRE(says(1 << 20));
  CHECK(until([&] { return events.receive().has_value(); }));
  live.unwatch();
  CHECK(heard.size() == 3);
}
