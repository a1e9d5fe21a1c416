// spec/records.md: what depends on time and on peers that are gone or full. The rest is tested with
// the real program in tests/process/records.
#include "broker/records_link.h"

#include "broker/link_fakes.h"
#include "tests/support/test_directory.h"
#include "wire/events.h"

using namespace sluice;
using namespace sluice::broker;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  TestDirectory directory;
  FakeClock clock;
  FakeSocket socket;
  std::optional<RecordLog> log;
  std::optional<RecordsLink> link;

  Fixture() { restart(); }
  void restart() {
    link.reset();
    log.reset();
    log.emplace(RecordLog::open(directory / "log").value());
    link.emplace(*log, SessionIdentity{"s", 1}, socket.send(), RecordLog::OnRecord{}, clock);
  }
  void greet(const std::string& identity, std::string role) {
    link->handle(identity, frames_of(hello_of("records/1", std::move(role), "i-" + identity)),
                 true);
    REQUIRE(socket.take(identity).starts_with("WELCOME"));
  }
  void append(const std::string& identity, std::uint64_t first) {
    take(identity, first);
    link->flush();
  }
  void take(const std::string& identity, std::uint64_t first) {
    wire::Append append;
    append.first = first;
    append.types = {"message"};
    append.records = {{wire::pack_event({.type = "message", .time = 1}, {})}};
    link->handle(identity, frames_of(append), true);
  }
  void next(const std::string& identity, std::uint64_t cursor, std::uint32_t wait_ms = 30000) {
    link->handle(identity, frames_of(wire::Next{cursor, 10, wait_ms}), true);
    link->flush();
  }
};

}  // namespace

TEST_CASE_METHOD(
    Fixture, "a peer that is silent for ten beats is forgotten and told so when it speaks (R30)") {
  greet("a", "runner");
  for (int i = 0; i < 9; ++i) link->beat();
  link->handle("a", frames_of(wire::Heartbeat{}), true);
  for (int i = 0; i < 10; ++i) link->beat();
  CHECK(link->peers().size() == 1);
  link->beat();
  CHECK(link->peers().empty());
  append("a", 1);
  CHECK(socket.take("a") == "REFUSED:no-hello");
  CHECK(log->end_cursor() == 1);
}

TEST_CASE_METHOD(Fixture, "a peer whose connection is gone is forgotten at the next beat (R30)") {
  greet("a", "runner");
  greet("b", "renderer");
  socket.gone.insert("b");
  link->beat();
  REQUIRE(link->peers().size() == 1);
  CHECK(link->peers()[0].instance == "i-a");
}

TEST_CASE_METHOD(Fixture, "a NEXT is answered at its deadline, not before (R21)") {
  greet("r", "collector");
  next("r", 1, 1000);
  REQUIRE(link->next_deadline().has_value());
  clock.advance(999ms);
  link->run_deadlines();
  CHECK(socket.take("r").empty());
  clock.advance(1ms);
  link->run_deadlines();
  CHECK(socket.take_one<wire::Batch>("r").next == 1);
  CHECK_FALSE(link->next_deadline().has_value());
  // However long it asks for.
  next("r", 1, UINT32_MAX);
  clock.advance(30s);
  link->run_deadlines();
  CHECK(socket.take("r") == "BATCH");
}

TEST_CASE_METHOD(Fixture, "a gap is reported again when the first report could not be sent (R11)") {
  greet("a", "runner");
  socket.full.insert("a");
  append("a", 5);
  socket.full.clear();
  append("a", 6);
  CHECK(socket.take_one<wire::Resend>("a").from == 1);
  append("a", 7);
  CHECK(socket.take("a").empty());
  append("a", 1);
  CHECK(socket.take("a") == "ACK");
  append("a", 9);
  CHECK(socket.take("a") == "RESEND");
}

TEST_CASE_METHOD(Fixture,
                 "APPENDs that come together are answered once they are written, before anything "
                 "else is (R13)") {
  greet("a", "runner");
  greet("b", "runner");
  greet("r", "renderer");
  next("r", 1);
  take("a", 1);
  take("b", 1);
  take("a", 2);
  CHECK(socket.sent.empty());
  CHECK(log->end_cursor() == 1);
  SECTION("when no more is there") { link->flush(); }
  SECTION("when another message comes") { link->handle("b", frames_of(wire::Heartbeat{1}), true); }
  CHECK(socket.take_one<wire::Ack>("a").upto == 2);
  CHECK(socket.take_one<wire::Ack>("b").upto == 1);
  CHECK(socket.take_one<wire::Batch>("r").records.size() == 3);
  // What a publisher is told when it comes back has been written.
  take("a", 3);
  link->handle("a", frames_of(hello_of("records/1", "runner", "i-a")), true);
  CHECK(log->end_cursor() == 5);
  CHECK(socket.sent.back().name == "WELCOME");
  CHECK(wire::decode<wire::Welcome>(socket.sent.back().body)->acknowledged == 3);
  CHECK(socket.take("a") == "ACK WELCOME");
  // A gap behind records that were not written yet.
  take("a", 4);
  take("a", 9);
  CHECK(wire::decode<wire::Resend>(socket.sent.back().body)->from == 5);
  CHECK(socket.take("a") == "ACK RESEND");
}

TEST_CASE_METHOD(Fixture, "the number of peers is limited (R2)") {
  for (std::size_t i = 0; i < kMaxPeers; ++i) greet("p" + std::to_string(i), "client");
  link->handle("one more", frames_of(hello_of("records/1", "client", "x")), true);
  CHECK(socket.take("one more") == "REFUSED:too-many-peers");
  // One that is known may say it again.
  greet("p3", "client");
  // Those from elsewhere have their own room.
  link->handle("far", frames_of(hello_of("records/1", "collector", "x")),
               {false, "remote/observe/eve"});
  CHECK(socket.take("far") == "WELCOME");
  // And room that was left is there again.
  socket.gone.insert("p7");
  for (unsigned i = 0; i < kQuietBeats; ++i) link->beat();
  link->handle("one more", frames_of(hello_of("records/1", "client", "x")), true);
  CHECK(socket.take("one more") == "WELCOME");
}

TEST_CASE_METHOD(Fixture, "a key from elsewhere has so many connections (R2a)") {
  const auto hello = [&](const std::string& identity, const std::string& user) {
    link->handle(identity, frames_of(hello_of("records/1", "collector", "x")), {false, user});
    return socket.take(identity);
  };
  for (std::size_t i = 0; i < kMaxPeersOfKey; ++i)
    REQUIRE(hello("e" + std::to_string(i), "remote/observe/eve") == "WELCOME");
  CHECK(hello("one more", "remote/observe/eve") == "REFUSED:too-many-peers");
  CHECK(hello("e3", "remote/observe/eve") == "WELCOME");
  // Others don't miss it: another key, another role, the session's own.
  CHECK(hello("a", "remote/observe/ann") == "WELCOME");
  CHECK(hello("b", "remote/runner/hostb") == "WELCOME");
  greet("own", "client");
  // An identity of hers that another takes over counts for him.
  CHECK(hello("e3", "remote/observe/ann") == "WELCOME");
  CHECK(hello("one more", "remote/observe/eve") == "WELCOME");
}

TEST_CASE("the keys of one role leave other roles, and the session's machine, their room (R2a)") {
  PeerCounts counts;
  for (std::size_t key = 0; key < kMaxPeers / kMaxPeersOfKey; ++key) {
    for (std::size_t i = 0; i < kMaxPeersOfKey; ++i)
      counts.add("remote/observe/eve-" + std::to_string(key));
  }
  CHECK_FALSE(counts.has_room("remote/observe/ann"));
  CHECK(counts.has_room("remote/control/ann"));
  CHECK(counts.has_room("remote/runner/hostb"));
  CHECK(counts.has_room(wire::kOwnerId));
  // Who is to be enrolled comes by one key.
  for (std::size_t i = 0; i < kMaxPeersEnrolling; ++i) {
    REQUIRE(counts.has_room("enrols/observe/"));
    counts.add("enrols/observe/");
  }
  CHECK_FALSE(counts.has_room("enrols/observe/"));
  CHECK(counts.has_room("enrols/runner/"));
  counts.remove("remote/observe/eve-3");
  CHECK(counts.has_room("remote/observe/ann"));
}

TEST_CASE_METHOD(Fixture, "a reader that reads nothing gets nothing more until it has (R20a)") {
  greet("a", "runner");
  greet("r", "collector");
  for (std::uint64_t i = 1; i <= 20; ++i) append("a", i);
  (void)socket.take("a");
  std::size_t room = RecordsLink::kMaxBatchBytes;
  link->bound_by([&](const std::string& identity) { return identity == "r" ? room : 1u << 20; });
  next("r", 1, 0);
  CHECK(socket.take_one<wire::Batch>("r").records.size() == 10);
  room = 0;
  for (int i = 0; i < 1000; ++i) next("r", 1, i % 2 == 0 ? 0 : 30000);
  append("a", 21);
  CHECK(socket.take("r").empty());
  CHECK(socket.take("a") == "ACK");  // who publishes misses nothing
  REQUIRE(link->next_deadline().has_value());
  clock.advance(RecordsLink::kFullRetry);
  link->run_deadlines();
  CHECK(socket.take("r").empty());
  // Not at once again, for ever.
  CHECK(*link->next_deadline() > clock.monotonic());
  room = 1;
  clock.advance(RecordsLink::kFullRetry);
  link->run_deadlines();
  const auto batch = socket.take_one<wire::Batch>("r");
  CHECK((batch.records.size() == 1 && batch.next == 2));
  // The rest comes as ever.
  room = RecordsLink::kMaxBatchBytes;
  next("r", 12, 0);
  CHECK(socket.take_one<wire::Batch>("r").records.size() == 10);
}

TEST_CASE_METHOD(Fixture, "the session's own processes are nobody else (R2)") {
  for (const char* instance : {"broker", "loader", "scheduler", "runner"}) {
    link->handle("x", frames_of(hello_of("records/1", "client", instance, ~std::uint64_t{0})),
                 false);
    CHECK(socket.take("x") == "REFUSED:not-of-session");
    link->handle("y", frames_of(hello_of("records/1", "client", instance)), true);
    CHECK(socket.take("y") == "WELCOME");
  }
  link->handle("x", frames_of(hello_of("records/1", "runner", "runner-2")), false);
  CHECK(socket.take("x") == "WELCOME");
}

TEST_CASE_METHOD(
    Fixture, "the end waits for publishers that have more, and for no longer than a second (R41)") {
  greet("a", "runner");
  greet("r", "renderer");
  append("a", 1);
  CHECK(socket.take("a") == "ACK");
  next("r", 2);
  link->begin_ending();
  CHECK(socket.take("a") == "ENDING");
  CHECK(socket.take("r") == "ENDING");
  SECTION("it says where it ends") {
    link->handle("a", frames_of(wire::Heartbeat{2}), true);
    CHECK_FALSE(link->finished());
    append("a", 2);
    CHECK(socket.take("a") == "ACK");
    // The record, then the end.
    CHECK_FALSE(socket.take_one<wire::Batch>("r").ended);
    next("r", 3);
    CHECK(socket.take_one<wire::Batch>("r").ended);
    CHECK(link->finished());
  }
  SECTION("it says nothing") {
    clock.advance(999ms);
    link->run_deadlines();
    CHECK(socket.take("r").empty());
    clock.advance(1ms);
    link->run_deadlines();
    CHECK(socket.take_one<wire::Batch>("r").ended);
    CHECK(link->finished());
    append("a", 2);
    CHECK(socket.take("a") == "ENDING");
    CHECK(log->end_cursor() == 2);
  }
  SECTION("it is gone") {
    socket.gone.insert("a");
    link->beat();
    CHECK(socket.take_one<wire::Batch>("r").ended);
    CHECK(link->finished());
  }
}

TEST_CASE_METHOD(Fixture, "the end waits for each of several publishers, whatever they say (R41)") {
  for (const char* who : {"a", "b", "c"}) {
    greet(who, "runner");
    append(who, 1);
  }
  greet("silent", "runner");
  greet("r", "renderer");
  next("r", 4);
  link->begin_ending();
  link->handle("a", frames_of(wire::Heartbeat{1}), true);
  link->handle("b", frames_of(wire::Heartbeat{1}), true);
  // It has more after all.
  link->handle("a", frames_of(wire::Heartbeat{2}), true);
  socket.take("r");
  SECTION("the last one goes, and the first says what it has") {
    socket.gone.insert("c");
    clock.advance(20ms);
    link->run_deadlines();
    append("a", 2);
    CHECK_FALSE(socket.take_one<wire::Batch>("r").ended);
    next("r", 5);
  }
  SECTION("the first goes, and the last says that it has nothing") {
    socket.gone.insert("a");
    clock.advance(20ms);
    link->run_deadlines();
    link->handle("c", frames_of(wire::Heartbeat{1}), true);
  }
  SECTION("the first says HELLO again, and the last does too") {
    socket.take("a");
    socket.take("c");
    greet("a", "runner");
    greet("c", "runner");
  }
  CHECK(socket.take_one<wire::Batch>("r").ended);
  CHECK(link->finished());
}

TEST_CASE_METHOD(Fixture, "the end waits for readers, and for no longer than two seconds (R42)") {
  greet("r", "renderer");
  link->begin_ending();
  CHECK_FALSE(link->finished());
  clock.advance(1999ms);
  link->run_deadlines();
  CHECK_FALSE(link->finished());
  SECTION("it is over") {
    REQUIRE(link->next_deadline().has_value());
    clock.advance(1ms);
    CHECK(link->finished());
  }
  SECTION("it reads") {
    socket.take("r");
    next("r", 1);
    CHECK(socket.take_one<wire::Batch>("r").ended);
    CHECK(link->finished());
  }
  SECTION("it goes") {
    socket.gone.insert("r");
    link->beat();
    CHECK(link->finished());
  }
}

TEST_CASE_METHOD(
    Fixture, "a broker with a log waits for those who will come back; one without does not (R43)") {
  link->begin_ending();
  CHECK(link->finished());
  restart();
  greet("a", "runner");
  append("a", 1);
  restart();
  link->begin_ending();
  CHECK_FALSE(link->finished());
  clock.advance(299ms);
  link->run_deadlines();
  CHECK_FALSE(link->finished());
  clock.advance(1ms);
  link->run_deadlines();
  CHECK(link->finished());
}
