// spec/records.md, with the real sluice-broker. R-numbers are the SHALLs.
#include <algorithm>
#include <csignal>
#include <random>
#include <set>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/append_log.h"
#include "base/file.h"
#include "tests/support/mini_session.h"
#include "wire/events.h"
#include "wire/live.h"
#include "wire/record_publisher.h"
#include "wire/record_reader.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;
using sluice::testing::MiniSession;
using sluice::testing::RawPeer;
using sluice::testing::run_until;

namespace {

std::string event(std::string_view type, std::string_view text) {
  return pack_event({.type = type, .time = 1, .level = "info", .text = text}, {});
}

std::unique_ptr<RecordPublisher> publisher_of(MiniSession& session, Context& context,
                                              Reactor& reactor, std::string instance,
                                              std::uint64_t epoch = 1) {
  auto publisher =
      RecordPublisher::create(context, reactor,
                              {session.endpoint("records"),
                               session.hello("records/1", "runner", std::move(instance), epoch)});
  REQUIRE(publisher.has_value());
  return std::move(*publisher);
}

// A reader that keeps all it got.
struct Collected {
  std::vector<std::string> records;
  bool ended = false;
  bool gone = false;
  std::unique_ptr<RecordReader> reader;

  Collected(MiniSession& session, Context& context, Reactor& reactor, std::string instance,
            std::uint64_t cursor = 1, unsigned give_up_beats = 30) {
    RecordReader::Settings settings{session.endpoint("records"),
                                    session.hello("records/1", "collector", std::move(instance))};
    settings.cursor = cursor;
    settings.give_up_beats = give_up_beats;
    auto made = RecordReader::create(
        context, reactor, settings,
        [this](std::string_view packed) { records.emplace_back(packed); },
        [this](bool is_gone) { (is_gone ? gone : ended) = true; });
    REQUIRE(made.has_value());
    reader = std::move(*made);
  }
};

Append append_of(std::uint64_t first, const std::vector<std::string>& texts,
                 std::string type = "message") {
  Append append;
  append.first = first;
  for (const auto& text : texts) {
    append.types.push_back(type);
    append.records.push_back({event(type, text)});
  }
  return append;
}

// Each publisher's numbers 1, 2, 3...; cursors 1, 2, 3...
void check_complete(const std::vector<std::string>& records,
                    const std::map<std::string, std::uint64_t>& expected) {
  std::map<std::string, std::uint64_t> seen;
  std::uint64_t cursor = 0;
  for (const auto& packed : records) {
    const auto one = decode_event(packed);
    REQUIRE(one.has_value());
    REQUIRE(one->cursor == ++cursor);
    REQUIRE(one->seq == seen[one->src] + 1);
    REQUIRE(one->text == fmt::format("{} {}", one->src, one->seq));
    seen[one->src] = one->seq;
  }
  CHECK(seen == expected);
}

}  // namespace

TEST_CASE("records reach a reader in order, late or early (R10-R13, R20)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  Collected early(session, context, reactor, "early");
  for (int i = 1; i <= 1000; ++i)
    publisher->publish("message", event("message", fmt::format("a {}", i)));
  REQUIRE(run_until(
      reactor, [&] { return early.records.size() == 1000 && publisher->acknowledged() == 1000; }));
  Collected late(session, context, reactor, "late");
  Collected middle(session, context, reactor, "middle", 501);
  REQUIRE(run_until(reactor,
                    [&] { return late.records.size() == 1000 && middle.records.size() == 500; }));
  check_complete(early.records, {{"a", 1000}});
  CHECK(early.records == late.records);
  CHECK(std::equal(middle.records.begin(), middle.records.end(), early.records.begin() + 500));
}

TEST_CASE("nothing is lost or doubled when the broker is killed at any instant (R14, R25, R26)") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  constexpr std::uint64_t kEach = 5000;
  auto a = publisher_of(session, context, reactor, "a");
  auto b = publisher_of(session, context, reactor, "b");
  Collected one(session, context, reactor, "one");
  Collected two(session, context, reactor, "two");
  std::uint64_t made = 0;
  reactor.every(1ms, [&] {
    for (int i = 0; i < 25 && made < kEach; ++i) {
      ++made;
      a->publish("message", event("message", fmt::format("a {}", made)));
      b->publish("message", event("message", fmt::format("b {}", made)));
    }
  });
  for (int kills = 0; kills < 5; ++kills) {
    const auto when = system_clock().monotonic() + std::chrono::microseconds(random() % 60'000);
    run_until(reactor, [&] { return system_clock().monotonic() >= when; });
    session.kill_broker();
    session.start_broker();
  }
  REQUIRE(run_until(reactor, [&] {
    return one.records.size() >= 2 * kEach && two.records.size() >= 2 * kEach &&
           a->acknowledged() == kEach && b->acknowledged() == kEach;
  }));
  check_complete(one.records, {{"a", kEach}, {"b", kEach}});
  CHECK(one.records == two.records);
  // What the log holds is what readers got.
  std::vector<std::string> log;
  REQUIRE(
      AppendLog::open(session.paths().record_log(), [&](std::uint64_t, std::string_view payload) {
        log.emplace_back(payload);
      }).has_value());
  CHECK(log == one.records);
}

TEST_CASE("a torn tail of the log is cut off and the record comes again") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer peer(context, session.endpoint("records"));
  peer.greet(session.hello("records/1", "runner", "x"));
  peer.say(append_of(1, {"one", "two"}));
  CHECK(peer.expect<Ack>().upto == 2);
  session.kill_broker();
  struct stat info {};
  REQUIRE(::stat(session.paths().record_log().c_str(), &info) == 0);
  REQUIRE(::truncate(session.paths().record_log().c_str(), info.st_size - 3) == 0);
  session.start_broker();
  RawPeer again(context, session.endpoint("records"));
  const Welcome welcome = again.greet(session.hello("records/1", "runner", "x"));
  CHECK(welcome.acknowledged == 1);
  CHECK(welcome.end_cursor == 2);
}

TEST_CASE("gaps are asked for, doubles skipped, old epochs refused (R3, R11, R16)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer peer(context, session.endpoint("records"));
  CHECK(peer.greet(session.hello("records/1", "runner", "x", 2)).acknowledged == 0);
  peer.say(append_of(1, {"one", "two", "three"}));
  CHECK(peer.expect<Ack>().upto == 3);
  peer.say(append_of(6, {"six"}));
  CHECK(peer.expect<Resend>().from == 4);
  peer.say(append_of(7, {"seven"}));  // the same gap: said once
  peer.say(append_of(2, {"two", "three", "four"}));
  CHECK(peer.expect<Ack>().upto == 4);
  peer.say(append_of(1, {"one"}));
  CHECK(peer.expect<Ack>().upto == 4);

  RawPeer old(context, session.endpoint("records"));
  old.greet(session.hello("records/1", "runner", "x", 1));
  old.say(append_of(1, {"from the past"}));
  CHECK(old.expect<Refused>().reason == "stale-epoch");

  RawPeer young(context, session.endpoint("records"));
  CHECK(young.greet(session.hello("records/1", "runner", "x", 3)).acknowledged == 0);
  young.say(append_of(1, {"again"}));
  CHECK(young.expect<Ack>().upto == 1);
  young.say(Next{1, 100, 0});
  const Batch batch = young.expect<Batch>();
  REQUIRE(batch.records.size() == 5);
  CHECK(decode_event(batch.records[3].bytes)->text == "four");
  CHECK(decode_event(batch.records[4].bytes)->epoch == 3);
}

TEST_CASE("what is unexpected is answered and changes nothing (R2, R4, R5, R17, R23)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer peer(context, session.endpoint("records"));
  peer.say(append_of(1, {"one"}));
  CHECK(peer.expect<Refused>().reason == "no-hello");
  peer.say(session.hello("records/2", "runner", "x"));
  CHECK(peer.expect<Refused>().reason == "protocol");
  peer.say(session.hello("records/1", "", "x"));
  CHECK(peer.expect<Refused>().reason == "role");
  peer.say(session.hello("records/1", "runner", std::string(65, 'x')));
  CHECK(peer.expect<Refused>().reason == "instance");
  peer.send({"HELLO", "\xc1"});
  CHECK(peer.expect<Refused>().reason == "malformed");
  peer.send({"HELLO", "one", "frame too many"});
  peer.send({""});
  peer.greet(session.hello("records/1", "runner", "x"));
  peer.send({"DANCE", "\x80"});
  CHECK(peer.expect<Refused>().reason == "unknown-command");
  peer.send({"APPEND", std::string("\x83\xa5"
                                   "first\x01\xa5types\xdd\xff\xff\xff\xff",
                                   20)});
  CHECK(peer.expect<Refused>().reason == "malformed");
  peer.send({"NEXT", std::string(1000, '\x91')});
  CHECK(peer.expect<Refused>().reason == "malformed");
  peer.say(Next{0, 1, 0});
  CHECK(peer.expect<Refused>().reason == "bad-cursor");
  peer.say(Next{2, 1, 0});
  CHECK(peer.expect<Refused>().reason == "bad-cursor");

  const auto refused_record = [&](std::string type, std::string record) {
    Append append;
    append.first = 1;
    append.types = {std::move(type)};
    append.records = {{std::move(record)}};
    peer.say(append);
    return peer.expect<Refused>().reason;
  };
  CHECK(refused_record("message", "") == "malformed");
  CHECK(refused_record("message", "\x01") == "malformed");
  CHECK(refused_record("message", event("message", "x") + "\xc0") == "malformed");
  CHECK(refused_record("message", event("other", "x")) == "malformed");
  CHECK(refused_record("../etc", event("../etc", "x")) == "malformed");
  // A publisher that stamps itself, in either form of the key.
  CHECK(refused_record("message", "\x82\xa4type\xa7message\xa3src\xa4root") == "malformed");
  CHECK(refused_record("message", "\x82\xa4type\xa7message\xd9\x03src\xa4root") == "malformed");
  Append uneven = append_of(1, {"one"});
  uneven.types.push_back("message");
  peer.say(uneven);
  CHECK(peer.expect<Refused>().reason == "malformed");

  peer.say(append_of(1, {"one"}));
  CHECK(peer.expect<Ack>().upto == 1);
  CHECK(session.broker_runs());
}

TEST_CASE("a NEXT waits, ends its wait, and makes room for another (R20-R22)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer reader(context, session.endpoint("records"));
  RawPeer writer(context, session.endpoint("records"));
  reader.greet(session.hello("records/1", "collector", "r"));
  writer.greet(session.hello("records/1", "runner", "w"));
  reader.say(Next{1, 10, 50});
  Batch batch = reader.expect<Batch>();
  CHECK((batch.records.empty() && batch.next == 1 && !batch.ended));
  reader.say(Next{1, 10, 30000});
  reader.say(Next{1, 2, 30000});
  // Answered after both were read, before the other connection's APPEND is sent.
  reader.send({"BARRIER", "\x80"});
  CHECK(reader.expect<Refused>().reason == "unknown-command");
  writer.say(append_of(1, {"one", "two", "three"}));
  batch = reader.expect<Batch>();
  CHECK((batch.records.size() == 2 && batch.next == 3));
  CHECK(reader.receive(200ms).empty());
  reader.say(Next{3, 100, 0});
  CHECK(reader.expect<Batch>().records.size() == 1);
}

TEST_CASE("a full disk loses nothing (R15)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  std::optional<Error> refused;
  publisher->on_refused([&](const Error& error) { refused = error; });
  Collected reader(session, context, reactor, "r");
  publisher->publish("message", event("message", "a 1"));
  REQUIRE(run_until(reactor, [&] { return publisher->acknowledged() == 1; }));
  // The broker's file may not grow any more, which the kernel reports as a write that fails.
  struct stat info {};
  REQUIRE(::stat(session.paths().record_log().c_str(), &info) == 0);
  const rlimit small{static_cast<rlim_t>(info.st_size) + 100, RLIM_INFINITY};
  REQUIRE(::prlimit(session.broker().pid, RLIMIT_FSIZE, &small, nullptr) == 0);
  for (int i = 2; i <= 200; ++i)
    publisher->publish("message", event("message", fmt::format("a {}", i)));
  REQUIRE(run_until(reactor, [&] { return refused.has_value(); }));
  CHECK(refused->reason == "efbig");
  CHECK(publisher->acknowledged() == 1);
  for (int i = 201; i <= 300; ++i)
    publisher->publish("message", event("message", fmt::format("a {}", i)));
  const rlimit large{RLIM_INFINITY, RLIM_INFINITY};
  REQUIRE(::prlimit(session.broker().pid, RLIMIT_FSIZE, &large, nullptr) == 0);
  REQUIRE(run_until(
      reactor, [&] { return publisher->acknowledged() == 300 && reader.records.size() == 300; }));
  check_complete(reader.records, {{"a", 300}});
}

TEST_CASE("an instance and epoch used twice is found out (R18)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  {
    auto first = publisher_of(session, context, reactor, "a", 7);
    first->publish("message", event("message", "a 1"));
    REQUIRE(run_until(reactor, [&] { return first->acknowledged() == 1; }));
  }
  auto second = publisher_of(session, context, reactor, "a", 7);
  std::optional<Error> refused;
  second->on_refused([&](const Error& error) { refused = error; });
  REQUIRE(run_until(reactor, [&] { return refused.has_value(); }));
  CHECK(refused->reason == "epoch-reused");
}

TEST_CASE("a publisher cuts what the log doesn't take, and goes on (R17a)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  std::optional<Error> refused;
  publisher->on_refused([&](const Error& error) { refused = error; });
  Collected reader(session, context, reactor, "r");
  publisher->publish("message", event("message", "before"));
  publisher->publish("message", event("message", std::string(20 << 20, 'x')));
  publisher->publish("message", event("message", "after"));
  REQUIRE(run_until(reactor, [&] { return reader.records.size() == 3; }));
  CHECK(publisher->acknowledged() == 3);
  CHECK_FALSE(refused.has_value());
  CHECK(decode_event(reader.records[0])->text == "before");
  const std::string text = decode_event(reader.records[1])->text;
  CHECK(text.starts_with("xxxx"));
  CHECK(text.ends_with("x[...]"));
  CHECK(decode_event(reader.records[2])->text == "after");
}

TEST_CASE("nobody waits for a publisher that was refused for good (R18a)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  {
    auto newer = publisher_of(session, context, reactor, "a", 9);
    newer->publish("message", event("message", "of the newer one"));
    REQUIRE(run_until(reactor, [&] { return newer->acknowledged() == 1; }));
  }
  auto old = publisher_of(session, context, reactor, "a", 7);
  std::optional<Error> refused;
  std::uint64_t told = 0;
  old->on_refused([&](const Error& error) { refused = error; });
  old->on_acknowledged([&](std::uint64_t upto) { told = upto; });
  old->publish("message", event("message", "one"));
  old->publish("message", event("message", "two"));
  REQUIRE(run_until(reactor, [&] { return refused.has_value(); }));
  CHECK(refused->reason == "stale-epoch");
  CHECK(old->stopped());
  CHECK(old->acknowledged() == 2);
  CHECK(told == 2);
  CHECK(old->publish("message", event("message", "three")) == 3);
  REQUIRE(run_until(reactor, [&] { return told == 3; }));
  CHECK(old->last() == 3);
  CHECK_FALSE(old->full());
  // Nor does the session's end.
  const Duration before = system_clock().monotonic();
  session.say_end();
  run_until(
      reactor, [] { return false; }, 200ms);
  CHECK(session.end_broker() == 0);
  CHECK(system_clock().monotonic() - before < 900ms);
}

TEST_CASE("a publisher for which there is no room comes when there is (R2a)") {
  Context context;
  Reactor reactor;
  // A broker that has no room at first.
  const std::string place = fmt::format("ipc:///tmp/sluice-full-{}", ::getpid());
  SocketOptions options;
  options.probe_router = true;
  Socket router = Socket::create(context, SocketKind::kRouter, options).value();
  REQUIRE(router.bind(place).has_value());
  Hello hello;
  hello.protocol = "records/1";
  hello.role = "runner";
  hello.instance = "a";
  hello.epoch = 1;
  auto publisher = RecordPublisher::create(context, reactor, {Address(place), hello}).value();
  std::optional<Error> refused;
  publisher->on_refused([&](const Error& error) { refused = error; });
  publisher->publish("message", event("message", "one"));
  int hellos = 0;
  reactor.on_socket(router, [&] {
    while (const auto frames = router.receive()) {
      if (frames->size() != 3) continue;
      if ((*frames)[1] == Hello::kName) {
        if (++hellos == 1) {
          router.send_to((*frames)[0], Refused::kName, encode(Refused{"too-many-peers"}));
        } else {
          Welcome welcome;
          welcome.session = "s";
          welcome.epoch = 1;
          welcome.end_cursor = 1;
          welcome.heartbeat_ms = 1000;
          router.send_to((*frames)[0], Welcome::kName, encode(welcome));
        }
      } else if ((*frames)[1] == Append::kName) {
        router.send_to((*frames)[0], Ack::kName, encode(Ack{1}));
      }
    }
  });
  CHECK(run_until(
      reactor, [&] { return publisher->acknowledged() == 1; }, 20s));
  CHECK(hellos == 2);
  CHECK_FALSE(refused.has_value());
  CHECK_FALSE(publisher->stopped());
  publisher.reset();
  reactor.remove_socket(router);
  ::unlink(place.substr(6).c_str());
}

TEST_CASE("a reader can pause, and loses nothing") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  Collected reader(session, context, reactor, "r");
  publisher->publish("message", event("message", "a 1"));
  REQUIRE(run_until(reactor, [&] { return reader.records.size() == 1; }));
  reader.reader->pause();
  for (int i = 2; i <= 2000; ++i)
    publisher->publish("message", event("message", fmt::format("a {}", i)));
  REQUIRE(run_until(reactor, [&] { return publisher->acknowledged() == 2000; }));
  // One BATCH was asked for before the pause.
  run_until(
      reactor, [&] { return reader.records.size() == 2000; }, 300ms);
  CHECK(reader.records.size() <= 1 + 256);
  session.kill_broker();
  session.start_broker();
  reader.reader->resume();
  REQUIRE(run_until(reactor, [&] { return reader.records.size() == 2000; }));
  check_complete(reader.records, {{"a", 2000}});
}

TEST_CASE("the end: what is under way is taken, readers get all, then the broker ends (R40-R42)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  Collected reader(session, context, reactor, "r");
  publisher->publish("message", event("message", "a 1"));
  REQUIRE(run_until(reactor, [&] { return reader.records.size() == 1; }));
  // Said before the publisher's records have left: they are in its ring.
  for (int i = 2; i <= 5000; ++i)
    publisher->publish("message", event("message", fmt::format("a {}", i)));
  session.say_end();
  REQUIRE(run_until(reactor, [&] { return reader.ended || reader.gone; }));
  CHECK(reader.ended);
  check_complete(reader.records, {{"a", 5000}});
  CHECK(publisher->acknowledged() == 5000);
  CHECK(session.end_broker() == 0);
}

TEST_CASE("a newcomer to the end is told, and may read but not write (R40, R41)") {
  MiniSession session;
  session.start_broker();
  Context context;
  // keeps the end open: it doesn't take its last BATCH
  RawPeer holder(context, session.endpoint("records"));
  RawPeer writer(context, session.endpoint("records"));
  holder.greet(session.hello("records/1", "collector", "holder"));
  writer.greet(session.hello("records/1", "runner", "w"));
  writer.say(append_of(1, {"one"}));
  CHECK(writer.expect<Ack>().upto == 1);
  session.say_end();
  writer.expect<Ending>();
  RawPeer late(context, session.endpoint("records"));
  late.greet(session.hello("records/1", "client", "late"));
  late.expect<Ending>();
  late.say(append_of(1, {"too late"}));
  late.expect<Ending>();
  late.say(Next{1, 10, 1000});
  CHECK(late.expect<Batch>().records.size() == 1);
  // The writer never says that it is done, the holder never reads: limits end it.
  CHECK(session.end_broker(5s) == 0);
}

TEST_CASE("a reader that was stopped or killed does not hold up the end (R30, R42)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  publisher->publish("message", event("message", "a 1"));
  REQUIRE(run_until(reactor, [&] { return publisher->acknowledged() == 1; }));
  SECTION("gone: not waited for at all") {
    {
      Context other;
      RawPeer reader(other, session.endpoint("records"));
      reader.greet(session.hello("records/1", "renderer", "r"));
    }
    const Duration before = system_clock().monotonic();
    session.say_end();
    REQUIRE(run_until(
        reactor, [&] { return !session.broker_runs(); }, 5s));
    CHECK(system_clock().monotonic() - before < 1s);
  }
  SECTION("silent: two seconds") {
    RawPeer reader(context, session.endpoint("records"));
    reader.greet(session.hello("records/1", "renderer", "r"));
    const Duration before = system_clock().monotonic();
    session.say_end();
    REQUIRE(run_until(
        reactor, [&] { return !session.broker_runs(); }, 5s));
    CHECK(system_clock().monotonic() - before < 3s);
  }
  CHECK(session.end_broker() == 0);
}

TEST_CASE("a broker restarted during the end waits for its peers (R43)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  Collected reader(session, context, reactor, "r");
  publisher->publish("message", event("message", "a 1"));
  REQUIRE(run_until(reactor, [&] { return reader.records.size() == 1; }));
  session.kill_broker();
  publisher->publish("message", event("message", "a 2"));
  session.start_broker();
  session.say_end();
  REQUIRE(run_until(reactor, [&] { return reader.ended || reader.gone; }));
  CHECK(reader.ended);
  check_complete(reader.records, {{"a", 2}});
  CHECK(session.end_broker() == 0);
}

TEST_CASE("without its supervisor the broker ends at once (R44)") {
  MiniSession session;
  session.start_broker();
  const Duration before = system_clock().monotonic();
  CHECK(session.leave_broker() == 0);
  CHECK(system_clock().monotonic() - before < 1s);
}

TEST_CASE("a reader gives up a session that is dead, not one that restarts (R33)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  Collected reader(session, context, reactor, "r", 1, 3);
  REQUIRE(run_until(reactor, [&] { return reader.reader->next_cursor() == 1; }));
  session.kill_broker();
  session.start_broker();
  CHECK_FALSE(run_until(
      reactor, [&] { return reader.gone; }, 1500ms));
  session.kill_broker();
  CHECK(run_until(
      reactor, [&] { return reader.gone; }, 8s));
}

TEST_CASE("live events: made only for those who listen; records by topic (R50-R53)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = LivePublisher::create(context, reactor, session.endpoint("live-in"));
  REQUIRE(publisher.has_value());
  int made = 0;
  const auto make = [&] {
    ++made;
    return event("status", "now");
  };
  std::vector<std::string> prefixes;
  (*publisher)->on_subscribed([&](const std::string& prefix) { prefixes.push_back(prefix); });
  for (int i = 0; i < 10; ++i) (*publisher)->publish("status/", make);
  CHECK(made == 0);

  std::vector<std::pair<std::string, std::string>> got;
  auto subscriber = LiveSubscriber::create(
      context, reactor, session.endpoint("live-out"), {"status/", "job/finished/"},
      [&](std::string_view topic, std::string_view packed) { got.emplace_back(topic, packed); });
  REQUIRE(subscriber.has_value());
  REQUIRE(
      run_until(reactor, [&] { return (*publisher)->wanted("status/") && prefixes.size() == 2; }));
  CHECK_FALSE((*publisher)->wanted("log/7/"));
  (*publisher)->publish("log/7/", make);
  CHECK(made == 0);
  (*publisher)->publish("status/", make);
  CHECK(made == 1);
  REQUIRE(run_until(reactor, [&] { return got.size() == 1; }));
  CHECK(got[0].first == "status/");

  // Nobody but the broker says what stands in the log.
  (*publisher)->publish("job/finished/", [] { return event("job.finished", "made up"); });
  auto records = publisher_of(session, context, reactor, "a");
  records->publish("message", event("message", "not subscribed"));
  records->publish("job.finished", event("job.finished", "true"));
  REQUIRE(run_until(reactor, [&] { return got.size() >= 2; }));
  REQUIRE(got.size() == 2);
  CHECK(got[1].first == "job/finished/");
  const auto one = decode_event(got[1].second);
  REQUIRE(one.has_value());
  CHECK(one->text == "true");
  CHECK(one->cursor == 2);

  // A broker that is started again has all records.
  session.kill_broker();
  REQUIRE(run_until(reactor, [&] { return !(*publisher)->wanted("status/"); }));
  session.start_broker();
  REQUIRE(run_until(reactor, [&] { return (*publisher)->wanted("status/"); }));
  (*publisher)->publish("status/", make);
  REQUIRE(run_until(reactor, [&] { return got.size() == 3; }));
  subscriber->reset();
  REQUIRE(run_until(reactor, [&] { return !(*publisher)->wanted("status/"); }));
}

TEST_CASE("a subscriber that reads nothing stops nobody else (R55)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = LivePublisher::create(context, reactor, session.endpoint("live-in"));
  REQUIRE(publisher.has_value());
  // Its reactor never runs, so that its queues fill, and its socket.
  Reactor stopped;
  auto idle = LiveSubscriber::create(context, stopped, session.endpoint("live-out"),
                                     {"status/full/"}, [](std::string_view, std::string_view) {});
  REQUIRE(idle.has_value());
  REQUIRE(run_until(reactor, [&] { return (*publisher)->wanted("status/full/"); }));
  int got = 0;
  auto subscriber =
      LiveSubscriber::create(context, reactor, session.endpoint("live-out"), {"status/"},
                             [&](std::string_view, std::string_view) { ++got; });
  REQUIRE(subscriber.has_value());
  REQUIRE(run_until(reactor, [&] { return (*publisher)->wanted("status/"); }));
  // More than the high-water marks of both sides (1,000) and the kernel's buffers hold.
  const std::string text(4000, 'x');
  for (int sent = 0; sent < 4000;) {
    for (int i = 0; i < 100; ++i, ++sent)
      (*publisher)->publish("status/full/", [&] { return event("status", text); });
    REQUIRE(run_until(reactor, [&] { return got == sent; }));
  }
}

TEST_CASE("who has nothing to say is asked, and answers (R30, R31)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  // Whoever only publishes is asked at each fifth beat.
  CHECK_FALSE(run_until(
      reactor, [] { return false; }, 6500ms));
  RawPeer client(context, session.endpoint("control"));
  client.greet(session.hello("control/1", "client", "cli"));
  Request request;
  request.id = "1";
  request.service = "broker";
  request.command = "peers";
  client.say(request);
  const auto all = decode<Peers>(client.expect<Reply>().result.bytes);
  REQUIRE(all.has_value());
  REQUIRE(all->peers.size() == 2);
  CHECK(all->peers[0].instance == "a");
  CHECK(all->peers[0].silent < 2);  // seconds
}

// Not run by ctest: process.broker_tests "[throughput]"
TEST_CASE("records a second, from a publisher through the log to a reader", "[.][throughput]") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = publisher_of(session, context, reactor, "a");
  std::uint64_t seen = 0;
  RecordReader::Settings settings{session.endpoint("records"),
                                  session.hello("records/1", "collector", "r")};
  auto reader = RecordReader::create(
      context, reactor, settings, [&](std::string_view) { ++seen; }, [](bool) {});
  REQUIRE(reader.has_value());
  REQUIRE(run_until(reactor, [&] {
    if (publisher->last() == 0) publisher->publish("message", event("message", "first"));
    return seen == 1;
  }));
  constexpr std::uint64_t kRecords = 200'000;
  const std::string record = event("message", std::string(1000, 'x'));
  const Duration start = system_clock().monotonic();
  std::uint64_t made = 0;
  Duration acknowledged{};
  publisher->on_acknowledged([&](std::uint64_t upto) {
    if (upto > kRecords) acknowledged = system_clock().monotonic() - start;
  });
  REQUIRE(run_until(
      reactor,
      [&] {
        for (int i = 0; i < 512 && made < kRecords && !publisher->full(); ++i, ++made)
          publisher->publish("message", record);
        return seen == kRecords + 1 && acknowledged.count() > 0;
      },
      120s));
  const double seconds = std::chrono::duration<double>(system_clock().monotonic() - start).count();
  fmt::print("records of 1 KB: {:.0f} per second to the log, {:.0f} to the reader\n",
             kRecords / std::chrono::duration<double>(acknowledged).count(), kRecords / seconds);
}

TEST_CASE("the time until a broker is ready", "[.][throughput]") {
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    MiniSession session;
    const Duration start = system_clock().monotonic();
    session.start_broker();
    times.push_back(
        std::chrono::duration<double, std::milli>(system_clock().monotonic() - start).count());
    session.leave_broker();
  }
  std::sort(times.begin(), times.end());
  fmt::print("ready after {:.1f} ms (median of 20)\n", times[10]);
}
