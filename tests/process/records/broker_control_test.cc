// spec/control.md and the security of spec/records.md, with the real sluice-broker.
#include <csignal>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/mini_session.h"
#include "tests/support/skipped.h"
#include "wire/control.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;
using sluice::testing::MiniSession;
using sluice::testing::RawPeer;
using sluice::testing::run_until;

namespace {

// A service that counts what it carries out, and answers when it is told to.
struct EchoService {
  std::vector<Request> carried_out;
  std::vector<ControlService::Respond> open;
  bool hold = false;
  std::unique_ptr<ControlService> service;

  EchoService(MiniSession& session, Context& context, Reactor& reactor, std::uint64_t epoch = 1,
              std::string instance = "scheduler") {
    auto made =
        ControlService::create(context, reactor, session.endpoint("control"),
                               session.hello("control/1", "scheduler", std::move(instance), epoch),
                               [this](const Request& request, ControlService::Respond respond) {
                                 carried_out.push_back(request);
                                 open.push_back(std::move(respond));
                                 if (!hold) answer_all();
                               });
    REQUIRE(made.has_value());
    service = std::move(*made);
  }
  void answer_all() {
    for (auto& respond : std::exchange(open, {})) {
      Reply reply;
      reply.status = "done";
      respond(reply);
    }
  }
};

std::unique_ptr<ControlClient> client_of(MiniSession& session, Context& context, Reactor& reactor,
                                         std::string instance = "cli") {
  auto client = ControlClient::create(context, reactor, session.endpoint("control"),
                                      session.hello("control/1", "client", std::move(instance)));
  REQUIRE(client.has_value());
  return std::move(*client);
}

}  // namespace

TEST_CASE("a request waits for its service and is answered, once (C11, C12, C20)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto client = client_of(session, context, reactor);
  std::vector<Reply> replies;
  client->request("scheduler", "suspend", encode(RetryArguments{"a.bst"}), 10s,
                  [&](const Reply& reply) { replies.push_back(reply); });
  CHECK_FALSE(run_until(
      reactor, [&] { return !replies.empty(); }, 200ms));
  EchoService service(session, context, reactor);
  REQUIRE(run_until(reactor, [&] { return replies.size() == 1; }));
  CHECK(replies[0].status == "done");
  REQUIRE(service.carried_out.size() == 1);
  CHECK(service.carried_out[0].source == "cli");
  CHECK(service.carried_out[0].role == "run");
  CHECK(decode<RetryArguments>(service.carried_out[0].arguments.bytes)->element == "a.bst");
  // What is asked next is answered after whatever else there might be for the first.
  client->request("scheduler", "resume", {}, 10s,
                  [&](const Reply& reply) { replies.push_back(reply); });
  REQUIRE(run_until(reactor, [&] { return replies.size() >= 2; }));
  CHECK(replies.size() == 2);
  CHECK(replies[1].id != replies[0].id);  // C10
}

TEST_CASE("a request is carried out once though the broker dies in the middle (C13, C15)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto client = client_of(session, context, reactor);
  EchoService service(session, context, reactor);
  service.hold = true;
  int replies = 0;
  client->request("scheduler", "run", {}, 20s,
                  [&](const Reply& reply) { replies += reply.status == "done" ? 1 : 100; });
  REQUIRE(run_until(reactor, [&] { return service.carried_out.size() == 1; }));
  session.kill_broker();
  SECTION("answered while there is no broker") { service.answer_all(); }
  session.start_broker();
  SECTION("answered after the next one came") {
    CHECK_FALSE(run_until(
        reactor, [&] { return replies > 0; }, 500ms));
    service.answer_all();
  }
  REQUIRE(run_until(reactor, [&] { return replies > 0; }));
  CHECK(replies == 1);
  CHECK(service.carried_out.size() == 1);
}

TEST_CASE("the next process of a service gets what its former was asked (C12)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto client = client_of(session, context, reactor);
  std::vector<std::string> answered;
  auto first = std::make_unique<EchoService>(session, context, reactor, 1);
  first->hold = true;
  for (const char* command : {"one", "two"}) {
    client->request("scheduler", command, {}, 20s,
                    [&answered, command](const Reply&) { answered.emplace_back(command); });
  }
  REQUIRE(run_until(reactor, [&] { return first->carried_out.size() == 2; }));
  first.reset();
  EchoService second(session, context, reactor, 2);
  REQUIRE(run_until(reactor, [&] { return answered.size() == 2; }));
  REQUIRE(second.carried_out.size() == 2);
  CHECK(second.carried_out[0].command == "one");
}

TEST_CASE("no answer in time is said to be unknown (C14)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  SECTION("by the broker") {
    RawPeer client(context, session.endpoint("control"));
    client.greet(session.hello("control/1", "client", "cli"));
    Request request;
    request.id = "1";
    request.service = "loader";
    request.command = "load";
    request.timeout_ms = 100;
    client.say(request);
    const Reply reply = client.expect<Reply>();
    CHECK(reply.status == "unknown");
    REQUIRE(reply.error.has_value());
    CHECK(reply.error->reason == "timeout");
  }
  SECTION("by the client, when the broker hangs") {
    auto client = client_of(session, context, reactor);
    EchoService service(session, context, reactor);
    int pings = 0;
    client->request("broker", "ping", {}, 5s,
                    [&](const Reply& reply) { pings += reply.status == "done"; });
    REQUIRE(run_until(reactor, [&] { return pings == 1; }));
    REQUIRE(send_signal(session.broker(), SIGSTOP).has_value());
    std::string status;
    client->request("scheduler", "suspend", {}, 300ms,
                    [&](const Reply& reply) { status = reply.status; });
    REQUIRE(run_until(
        reactor, [&] { return !status.empty(); }, 5s));
    CHECK(status == "unknown");
    REQUIRE(send_signal(session.broker(), SIGCONT).has_value());
  }
}

TEST_CASE("one process holds a role; only it answers (C3, C21)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer first(context, session.endpoint("control"));
  Hello hello = session.hello("control/1", "scheduler", "scheduler", 5);
  hello.service = true;
  first.greet(hello);

  RawPeer other(context, session.endpoint("control"));
  Hello wrong = hello;
  wrong.instance = "impostor";
  other.say(wrong);
  CHECK(other.expect<Refused>().reason == "role-taken");
  wrong.role = "broker";
  other.say(wrong);
  CHECK(other.expect<Refused>().reason == "role");
  wrong = hello;
  wrong.epoch = 4;
  other.say(wrong);
  CHECK(other.expect<Refused>().reason == "stale-epoch");
  wrong.service = false;
  other.greet(wrong);
  Reply reply;
  reply.id = "1";
  reply.status = "done";
  reply.source = "cli";
  other.say(reply);
  CHECK(other.expect<Refused>().reason == "no-service");
}

TEST_CASE("what is unexpected is answered and changes nothing (C1, C2, C10, C17)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer peer(context, session.endpoint("control"));
  peer.send({"REQUEST", "\x80"});
  CHECK(peer.expect<Refused>().reason == "no-hello");
  peer.say(session.hello("control/9", "client", "x"));
  CHECK(peer.expect<Refused>().reason == "protocol");
  peer.greet(session.hello("control/1", "client", "x"));
  const std::vector<std::string> bodies{"", "\x80", "\xc1", "\xdd\xff\xff\xff\xff",
                                        std::string(200, '\x81')};
  for (const auto& bytes : bodies) {
    peer.send({"REQUEST", bytes});
    CHECK(peer.expect<Refused>().reason == "malformed");
  }
  for (const std::size_t size : {0, 129}) {
    Request nameless;
    nameless.id = std::string(size, 'x');
    nameless.service = "broker";
    nameless.command = "ping";
    peer.say(nameless);
    CHECK(peer.expect<Refused>().reason == "malformed");
  }
  peer.send({"SING", "\x80"});
  CHECK(peer.expect<Refused>().reason == "unknown-command");
  peer.send({"a", "b", "c", "d"});
  Request request;
  request.id = "1";
  request.service = "broker";
  request.command = "dance";
  peer.say(request);
  const Reply reply = peer.expect<Reply>();
  CHECK(reply.status == "refused");
  CHECK(reply.error->reason == "unknown-command");
}

TEST_CASE("a client that floods is told that the broker is busy (C16)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer peer(context, session.endpoint("control"));
  peer.greet(session.hello("control/1", "client", "x"));
  Request request;
  request.service = "nobody";
  request.command = "wait";
  request.timeout_ms = 60000;
  for (int i = 0; i < 1024; ++i) {
    request.id = std::to_string(i);
    peer.say(request);
    if (i % 256 == 255) {
      Request ping;
      ping.id = "ping" + std::to_string(i);
      ping.service = "broker";
      ping.command = "ping";
      peer.say(ping);
      CHECK(peer.expect<Reply>().status == "done");
    }
  }
  request.id = "one too many";
  peer.say(request);
  const Reply reply = peer.expect<Reply>();
  CHECK(reply.status == "refused");
  CHECK(reply.error->reason == "busy");
}

TEST_CASE("peers are those who are there (C17, R30)") {
  MiniSession session;
  session.start_broker();
  Context context;
  RawPeer client(context, session.endpoint("control"));
  client.greet(session.hello("control/1", "client", "cli"));
  int count = 0;
  const auto peers = [&] {
    Request request;
    request.id = std::to_string(++count);
    request.service = "broker";
    request.command = "peers";
    client.say(request);
    const Reply reply = client.expect<Reply>();
    REQUIRE(reply.status == "done");
    std::vector<std::string> names;
    const auto all = decode<Peers>(reply.result.bytes);
    REQUIRE(all.has_value());
    for (const auto& peer : all->peers) names.push_back(peer.link + " " + peer.instance);
    return names;
  };
  CHECK(peers() == std::vector<std::string>{"control cli"});
  {
    Context other;
    RawPeer reader(other, session.endpoint("records"));
    reader.greet(session.hello("records/1", "renderer", "renderer-1"));
    CHECK(peers() == std::vector<std::string>{"records renderer-1", "control cli"});
  }
  // The service's connection is gone, as the next beat finds out.
  const Duration deadline = system_clock().monotonic() + 5s;
  while (peers().size() > 1 && system_clock().monotonic() < deadline) {
  }
  CHECK(peers().size() == 1);
}

TEST_CASE("clients and requests learn of the end (C40, C41)") {
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto client = client_of(session, context, reactor);
  bool ending = false;
  client->on_ending([&] { ending = true; });
  RawPeer reader(context, session.endpoint("records"));  // holds the end open for a moment
  reader.greet(session.hello("records/1", "renderer", "r"));
  EchoService service(session, context, reactor);
  service.hold = true;
  std::vector<std::string> answers;
  const auto note = [&](const Reply& reply) {
    answers.push_back(reply.status + (reply.error ? " " + reply.error->reason : std::string()));
  };
  client->request("scheduler", "held", {}, 30s, note);
  client->request("nobody", "waiting", {}, 30s, note);
  REQUIRE(run_until(reactor, [&] { return service.carried_out.size() == 1; }));
  session.say_end();
  REQUIRE(run_until(reactor, [&] { return ending; }));
  client->request("scheduler", "late", {}, 30s, note);
  REQUIRE(run_until(reactor, [&] { return answers.size() == 1; }));
  CHECK(answers[0] == "refused ending");
  REQUIRE(run_until(reactor, [&] { return answers.size() == 3; }));
  CHECK(std::find(answers.begin(), answers.end(), "unknown ending") != answers.end());
  CHECK(std::count(answers.begin(), answers.end(), "refused ending") == 2);
  CHECK(session.end_broker() == 0);
}

TEST_CASE("another user is refused by the socket itself (R60)") {
  if (::getuid() != 0) {
    return say_skipped("only root can make another user's process");
  }
  MiniSession session;
  session.start_broker();
  // The socket's modes are opened up, so that ZAP alone stands in the way.
  const std::string home = session.directory() + "/sluice";
  for (const auto& path : {session.directory(), home, session.paths().runtime})
    REQUIRE(::chmod(path.c_str(), 0777) == 0);
  for (const char* name : {"records", "control", "live-in", "live-out"}) {
    REQUIRE(::chmod(session.paths().socket_path(name).c_str(), 0777) == 0);
  }
  const auto can_greet = [&](uid_t uid) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgid(uid) != 0 || ::setuid(uid) != 0) ::_exit(3);
      Context context;
      auto socket = Socket::create(context, SocketKind::kDealer, {});
      if (!socket || !socket->connect(session.endpoint("records"))) ::_exit(4);
      socket->send(Hello::kName, encode(session.hello("records/1", "client", "other")));
      Reactor reactor;
      bool welcomed = false;
      reactor.on_socket(*socket, [&] {
        const auto frames = socket->receive();
        welcomed = welcomed || (frames && frames->size() == 2 && (*frames)[0] == Welcome::kName);
      });
      run_until(
          reactor, [&] { return welcomed; }, 1s);
      ::_exit(welcomed ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
  };
  CHECK(can_greet(0) == 0);
  CHECK(can_greet(65534) == 1);
}
