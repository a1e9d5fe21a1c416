#include "wire/reactor.h"

#include <csignal>

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <zmq.h>

#include "tests/support/test_directory.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    read.reset(fds[0]);
    write.reset(fds[1]);
  }
};

}  // namespace

TEST_CASE("timers run when their time has come, in order") {
  FakeClock clock;
  Reactor reactor(clock);
  std::string ran;
  reactor.after(20ms, [&] { ran += 'b'; });
  reactor.after(10ms, [&] { ran += 'a'; });
  const auto gone = reactor.after(15ms, [&] { ran += 'x'; });
  reactor.cancel(gone);
  reactor.every(30ms, [&] { ran += 'e'; });
  reactor.run_once(0ms);
  CHECK(ran.empty());
  clock.advance(9ms);
  reactor.run_once(0ms);
  CHECK(ran.empty());
  clock.advance(1ms);
  reactor.run_once(0ms);
  CHECK(ran == "a");
  clock.advance(20ms);
  reactor.run_once(0ms);
  CHECK(ran == "abe");
  // Three intervals late: once, not three times.
  clock.advance(100ms);
  reactor.run_once(0ms);
  CHECK(ran == "abee");
  clock.advance(29ms);
  reactor.run_once(0ms);
  CHECK(ran == "abee");
  clock.advance(1ms);
  reactor.run_once(0ms);
  CHECK(ran == "abeee");
}

TEST_CASE("a wall clock that jumps moves no timer") {
  FakeClock clock;
  Reactor reactor(clock);
  int ran = 0;
  reactor.after(1s, [&] { ++ran; });
  clock.jump_wall(24h);
  reactor.run_once(0ms);
  CHECK(ran == 0);
  clock.jump_wall(-48h);
  clock.advance(1s);
  reactor.run_once(0ms);
  CHECK(ran == 1);
}

TEST_CASE("a timer may cancel itself and others, and make new ones") {
  FakeClock clock;
  Reactor reactor(clock);
  int ran = 0;
  Reactor::TimerId own = 0;
  Reactor::TimerId other = reactor.after(2ms, [&] { ran += 100; });
  own = reactor.every(1ms, [&] {
    ++ran;
    reactor.cancel(own);
    reactor.cancel(other);
    reactor.after(0ms, [&] { ran += 10; });
  });
  clock.advance(5ms);
  reactor.run_once(0ms);
  reactor.run_once(0ms);
  clock.advance(5ms);
  reactor.run_once(0ms);
  CHECK(ran == 11);
}

TEST_CASE("descriptors: readable, hung up, and removed by another's callback") {
  Reactor reactor;
  Pipe a, b;
  std::string ran;
  reactor.on_fd(a.read.get(), POLLIN, [&](short) {
    ran += 'a';
    reactor.remove_fd(a.read.get());
    reactor.remove_fd(b.read.get());
  });
  reactor.on_fd(b.read.get(), POLLIN, [&](short) { ran += 'b'; });
  REQUIRE(write_all(a.write.get(), "x").has_value());
  REQUIRE(write_all(b.write.get(), "x").has_value());
  reactor.run_once(100ms);
  reactor.run_once(0ms);
  CHECK(ran == "a");
  Pipe c;
  bool ended = false;
  reactor.on_fd(c.read.get(), POLLIN, [&](short) {
    ended = true;
    reactor.remove_fd(c.read.get());
  });
  c.write.reset();
  reactor.run_once(1s);
  CHECK(ended);
}

TEST_CASE("signals come as callbacks") {
  Reactor reactor;
  std::string ran;
  REQUIRE(reactor.on_signal(SIGUSR1, [&] { ran += '1'; }).has_value());
  REQUIRE(reactor.on_signal(SIGUSR2, [&] { ran += '2'; }).has_value());
  ::kill(::getpid(), SIGUSR2);
  ::kill(::getpid(), SIGUSR1);
  reactor.run_once(1s);
  CHECK(ran.size() == 2);
}

TEST_CASE("sockets: messages arrive, and stop() ends the loop") {
  Context context;
  Reactor reactor;
  auto server = Socket::create(context, SocketKind::kRouter, {});
  auto client = Socket::create(context, SocketKind::kDealer, {});
  REQUIRE((server && client));
  REQUIRE(server->bind("inproc://reactor-test").has_value());
  REQUIRE(client->connect("inproc://reactor-test").has_value());
  std::vector<Frames> got;
  reactor.on_socket(*server, [&] {
    while (auto frames = server->receive()) got.push_back(*frames);
    reactor.stop();
  });
  REQUIRE(client->send("HELLO", "body"));
  REQUIRE(client->send(Frames{"HELLO", "again"}));
  // More frames than a message may have: dropped whole.
  REQUIRE(client->send(Frames(65, "x")));
  reactor.run();
  REQUIRE(got.size() == 2);
  CHECK(got[0].size() == 3);
  CHECK(got[1][2] == "again");
  CHECK_FALSE(reactor.run_once(0ms));
  // One that is too long leaves nothing in what is received into; a large body comes as it was.
  Received message;
  const std::string large(100'000, 'x');
  REQUIRE(client->send(Frames(65, "x")));
  REQUIRE(client->send("HELLO", large));
  REQUIRE(server->receive(message));
  REQUIRE(message.frames().size() == 3);
  CHECK((message.frames()[1] == "HELLO" && message.frames()[2] == large));
  const std::string identity(message.frames()[0]);
  REQUIRE(server->send_to(identity, "BATCH", large));
  CHECK(client->receive() == Frames{"BATCH", large});
  CHECK_FALSE(server->receive(message));
  CHECK(message.frames().empty());
  // Who isn't there can't be sent to, and that is noticed.
  SocketOptions mandatory;
  mandatory.router_mandatory = true;
  auto strict = Socket::create(context, SocketKind::kRouter, mandatory);
  REQUIRE(strict.has_value());
  CHECK_FALSE(strict->send_to("nobody", "HELLO", ""));
  CHECK(errno == EHOSTUNREACH);
}

TEST_CASE("sockets: one that is no longer watched goes on when its watch is closed") {
  const TestDirectory directory;
  const std::string endpoint = "ipc://" + directory.str() + "/socket";
  {
    Context context;
    Reactor reactor;
    auto server = Socket::create(context, SocketKind::kRouter, {});
    REQUIRE(server.has_value());
    {
      auto watch = server->watch(context, ZMQ_EVENT_ALL);
      REQUIRE(watch.has_value());
      REQUIRE(server->bind(endpoint).has_value());
      server->unwatch();
    }
    // Connections, handshakes, ends: each would be told.
    for (int i = 0; i < 3; ++i) {
      auto client = Socket::create(context, SocketKind::kDealer, {});
      REQUIRE(client.has_value());
      REQUIRE(client->connect(endpoint).has_value());
      REQUIRE(client->send("HELLO", "body"));
      bool heard = false, late = false;
      const auto timer = reactor.after(10s, [&] { late = true; });
      reactor.on_socket(*server, [&] { heard = server->receive().has_value() || heard; });
      while (!heard && !late) reactor.run_once(1s);
      reactor.cancel(timer);
      reactor.remove_socket(*server);
      REQUIRE(heard);
    }
  }
}
