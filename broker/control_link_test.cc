// spec/control.md: what depends on time and on peers that are gone. The rest is tested with the
// real program in tests/process/records.
#include "broker/control_link.h"

#include "broker/link_fakes.h"

using namespace sluice;
using namespace sluice::broker;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  FakeClock clock;
  FakeSocket socket;
  ControlLink link{{"s", 1}, socket.send(), [] { return std::vector<wire::Peer>{}; }, clock};

  void greet(const std::string& identity, std::string role, std::uint64_t epoch = 1,
             bool service = false) {
    link.handle(identity,
                frames_of(hello_of("control/1", std::move(role), "i-" + identity.substr(0, 1),
                                   epoch, service)),
                true);
    REQUIRE(std::any_of(socket.sent.begin(), socket.sent.end(), [&](const auto& message) {
      return message.to == identity && message.name == wire::Welcome::kName;
    }));
    std::erase_if(socket.sent,
                  [](const auto& message) { return message.name == wire::Welcome::kName; });
  }
  void request(const std::string& identity, std::string id, std::uint32_t timeout_ms = 10000) {
    wire::Request request;
    request.id = std::move(id);
    request.service = "loader";
    request.command = "load";
    request.timeout_ms = timeout_ms;
    request.source = "somebody else";
    request.role = "root";
    link.handle(identity, frames_of(request), true);
  }
  void reply(const std::string& identity, std::string source, std::string id) {
    wire::Reply reply;
    reply.id = std::move(id);
    reply.source = std::move(source);
    reply.status = "done";
    link.handle(identity, frames_of(reply), true);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a request is stamped, whatever stood there (C11)") {
  greet("l", "loader", 1, true);
  greet("c", "client");
  request("c", "1");
  const auto seen = socket.take_one<wire::Request>("l");
  CHECK(seen.source == "i-c");
  CHECK(seen.role == "run");
}

TEST_CASE_METHOD(
    Fixture,
    "a request without answer is unknown at its deadline, and its late reply dropped (C14, C21)") {
  greet("l", "loader", 1, true);
  greet("c", "client");
  request("c", "1", 500);
  socket.take("l");
  REQUIRE(link.next_deadline().has_value());
  clock.advance(499ms);
  link.run_deadlines();
  CHECK(socket.take("c").empty());
  clock.advance(1ms);
  link.run_deadlines();
  CHECK(socket.take_one<wire::Reply>("c").status == "unknown");
  reply("l", "i-c", "1");
  CHECK(socket.take("c").empty());
  CHECK_FALSE(link.next_deadline().has_value());
}

TEST_CASE_METHOD(Fixture,
                 "a service that is silent or gone is no service; what it was asked goes to the "
                 "next (C12, C30)") {
  greet("l", "loader", 1, true);
  greet("c", "client");
  request("c", "1");
  request("c", "2");
  CHECK(socket.take("l") == "REQUEST REQUEST");
  SECTION("gone") {
    socket.gone.insert("l");
    link.beat();
  }
  SECTION("silent") {
    for (int i = 0; i < 11; ++i) {
      link.handle("c", frames_of(wire::Heartbeat{}), true);
      link.beat();
    }
  }
  request("c", "3");
  CHECK(socket.take("l").empty());
  greet("m", "loader", 2, true);
  CHECK(socket.take("m") == "REQUEST REQUEST REQUEST");
  reply("m", "i-c", "2");
  CHECK(socket.take_one<wire::Reply>("c").id == "2");
}

TEST_CASE_METHOD(Fixture,
                 "the same request from a new connection is one request, answered there (C15)") {
  greet("c", "client");
  request("c", "1");
  greet("c2", "client");
  request("c2", "1");
  greet("l", "loader", 1, true);
  CHECK(socket.take("l") == "REQUEST");
  reply("l", "i-c", "1");
  CHECK(socket.take("c").empty());
  CHECK(socket.take("c2") == "REPLY");
}

TEST_CASE_METHOD(Fixture,
                 "a reply for another's request, or of another service, reaches nobody (C21)") {
  greet("l", "loader", 1, true);
  greet("s", "scheduler", 1, true);
  greet("c", "client");
  request("c", "1");
  reply("s", "i-c", "1");
  reply("l", "i-d", "1");
  reply("l", "i-c", "2");
  CHECK(socket.take("c").empty());
  reply("l", "i-c", "1");
  CHECK(socket.take("c") == "REPLY");
}

TEST_CASE_METHOD(Fixture, "a role whose process is gone can be taken by another (C3)") {
  greet("l", "loader", 9, true);
  link.handle("x", frames_of(hello_of("control/1", "loader", "other", 1, true)), true);
  CHECK(socket.take("x") == "REFUSED:role-taken");
  socket.gone.insert("l");
  link.handle("x", frames_of(hello_of("control/1", "loader", "other", 1, true)), true);
  CHECK(socket.take("x") == "WELCOME");
  greet("c", "client");
  request("c", "1");
  CHECK(socket.take("x") == "REQUEST");
}

TEST_CASE_METHOD(Fixture, "a service that says HELLO as a client is one no more") {
  greet("l", "loader", 1, true);
  greet("l", "loader", 1, false);
  greet("c", "client");
  request("c", "1");
  CHECK(socket.take("l").empty());
}

TEST_CASE_METHOD(
    Fixture,
    "a service is a process of the session's own, whatever the epoch of who says that he is (C3)") {
  greet("l", "loader", 1, true);
  for (const char* instance : {"i-l", "other"}) {
    link.handle("x", frames_of(hello_of("control/1", "loader", instance, ~std::uint64_t{0}, true)),
                false);
    CHECK(socket.take("x") == "REFUSED:not-of-session");
  }
  link.handle("x", frames_of(hello_of("control/1", "scheduler", "scheduler", 1, true)), false);
  CHECK(socket.take("x") == "REFUSED:not-of-session");
  link.handle("c", frames_of(hello_of("control/1", "client", "i-c")), false);
  CHECK(socket.take("c") == "WELCOME");
  request("c", "1");
  CHECK(socket.take("l") == "REQUEST");
}
