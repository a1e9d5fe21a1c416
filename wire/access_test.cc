// spec/access.md: keys, roles, tickets, and sockets that listen on TCP.
#include "wire/access.h"

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/loopback.h"
#include "tests/support/test_directory.h"
#include "wire/joined.h"
#include "wire/listening.h"
#include "wire/message_limit.h"
#include "wire/reactor.h"
#include "wire/socket.h"
#include "wire/zap.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

constexpr Duration kDeadline = std::chrono::seconds(10);

// A session's state, and a ROUTER of it that listens on ipc and TCP.
struct Fixture {
  TestDirectory owned;
  const std::string directory = owned.str();
  AccessKeys keys;
  AccessList list;
  UniqueFd tcp = loopback_listener();
  Context context;
  Reactor reactor;
  std::unique_ptr<ZapHandler> zap;
  std::optional<Listening> listening;
  ServiceOptions service;

  Fixture() {
    keys.server = make_curve_keys().value();
    keys.ticket_secret = std::string(32, 's');
    REQUIRE(write_access_keys(directory, keys).has_value());
    REQUIRE(write_access_list(directory, list).has_value());
    service.paths.id = "s";
    service.paths.state = service.paths.runtime = directory;
    service.listening["tcp/jobs"] = tcp.get();
  }
  ~Fixture() { listening.reset(); }
  void listen() {
    zap = ZapHandler::create(context, reactor, directory).value();
    listening.emplace(Listening::create(context, SocketKind::kRouter, service, "jobs", 0).value());
    REQUIRE(listening->open().has_value());
    reactor.on_socket(listening->socket(), [this] {
      Received message;
      while (listening->socket().receive(message)) {
        const auto frames = message.frames();
        if (frames.size() == 2 && frames[1].empty()) continue;  // the probe of a DEALER
        heard.push_back(std::string(message.user_id()) + " " + std::string(frames[1]));
      }
    });
  }
  CurveKeys add(std::string_view role, std::string name, std::int64_t expires = 0) {
    const CurveKeys pair = make_curve_keys().value();
    AccessEntry entry;
    entry.public_key = pair.public_key;
    entry.role = role;
    entry.name = std::move(name);
    entry.expires = expires;
    list.entries.push_back(entry);
    REQUIRE(write_access_list(directory, list).has_value());
    return pair;
  }
  Socket client(const Address& address) {
    Socket socket = Socket::create(context, SocketKind::kDealer, {}).value();
    REQUIRE(socket.connect(address).has_value());
    return socket;
  }
  Address address(const CurveKeys& by) {
    return {endpoint_of(tcp), CurveClient{keys.server.public_key, by}};
  }
  // Whether something with that text is heard.
  bool hears(const std::string& what) {
    const Duration until = system_clock().monotonic() + kDeadline;
    while (system_clock().monotonic() < until) {
      if (std::find(heard.begin(), heard.end(), what) != heard.end()) return true;
      reactor.run_once(std::chrono::milliseconds(50));
    }
    return false;
  }
  // Whether a connection by that address is refused.
  bool refused(const Address& by) {
    Socket socket = Socket::create(context, SocketKind::kDealer, {}).value();
    Socket watch =
        socket
            .watch(context, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            .value();
    REQUIRE(socket.connect(by).has_value());
    std::optional<int> seen;
    const Duration until = system_clock().monotonic() + kDeadline;
    while (!seen && system_clock().monotonic() < until) {
      reactor.run_once(std::chrono::milliseconds(20));
      if (const auto event = watch.receive()) seen = watched_event(*event);
    }
    socket.unwatch();
    return seen && *seen != ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
  }
  std::vector<std::string> heard;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a key is known by its name; strangers are refused (access.md A2, A4)") {
  const CurveKeys runner = add("runner", "hostb");
  const CurveKeys observer = add("observe", "eve");
  const CurveKeys late = add("runner", "late", 1);
  listen();
  CHECK(prove_remote(context, reactor, service, std::vector<std::string_view>{"jobs"}).has_value());
  {
    Socket socket = client(address(runner));
    socket.send("hello", "x");
    CHECK(hears("remote/runner/hostb hello"));
    Socket local = client("ipc://" + directory + "/jobs");
    local.send("hello", "x");
    CHECK(hears("owner hello"));
  }
  CHECK(refused(address(make_curve_keys().value())));
  CHECK(refused(address(observer)));  // of a role that has nothing to do with jobs
  CHECK(refused(address(late)));
  // No keys at all, and another session's server key.
  CHECK(refused(endpoint_of(tcp)));
  CHECK(refused({endpoint_of(tcp), CurveClient{make_curve_keys().value().public_key, runner}}));
}

TEST_CASE_METHOD(Fixture, "a socket that lets strangers in isn't begun with (access.md A3)") {
  // Without the handler libzmq asks nobody.
  const auto proven =
      prove_remote(context, reactor, service, std::vector<std::string_view>{"jobs"});
  REQUIRE_FALSE(proven.has_value());
  CHECK(proven.error().reason == "no-authentication");
}

TEST_CASE_METHOD(Fixture, "who was revoked is cut off, and the others come back (access.md A30)") {
  const CurveKeys one = add("runner", "one");
  const CurveKeys two = add("runner", "two");
  listen();
  Socket first = client(address(one));
  Socket second = client(address(two));
  first.send("before", "x");
  second.send("before", "x");
  REQUIRE(hears("remote/runner/one before"));
  REQUIRE(hears("remote/runner/two before"));
  list.entries[0].revoked = true;
  REQUIRE(write_access_list(directory, list).has_value());
  REQUIRE(listening->cut_remote().has_value());
  CHECK(refused(address(one)));
  // What was sent while the connection was away comes with the next one.
  const Duration until = system_clock().monotonic() + kDeadline;
  while (std::find(heard.begin(), heard.end(), "remote/runner/two after") == heard.end() &&
         system_clock().monotonic() < until) {
    second.send("after", "x");
    first.send("after", "x");
    reactor.run_once(std::chrono::milliseconds(20));
  }
  CHECK(hears("remote/runner/two after"));
  CHECK(std::find(heard.begin(), heard.end(), "remote/runner/one after") == heard.end());
}

TEST_CASE_METHOD(Fixture,
                 "a message over the limit ends its connection, with keys too (records.md R5a)") {
  const CurveKeys one = add("runner", "one");
  listen();
  Socket socket = Socket::create(context, SocketKind::kDealer, {}).value();
  Socket watch = socket.watch(context, ZMQ_EVENT_DISCONNECTED).value();
  REQUIRE(socket.connect(address(one)).has_value());
  const auto ends = [&] {
    const Duration until = system_clock().monotonic() + kDeadline;
    while (system_clock().monotonic() < until) {
      reactor.run_once(std::chrono::milliseconds(20));
      if (watch.receive()) return true;
    }
    return false;
  };
  const auto message = [](const std::string& name, std::size_t frames, std::size_t bytes) {
    Frames out(frames, std::string(bytes, 'x'));
    out[0] = name;
    return out;
  };
  // Many that are within it, one behind the other.
  for (int i = 0; i < 40; ++i)
    REQUIRE(socket.send(message("short" + std::to_string(i), kMostFrames - 1, 100)));
  CHECK(hears("remote/runner/one short39"));
  CHECK_FALSE(watch.receive());
  const std::uint64_t before = connections_reset();
  SECTION("by its frames") { REQUIRE(socket.send(message("long", kMostFrames + 1, 1))); }
  SECTION("by its bytes") { REQUIRE(socket.send(message("long", 4, 22 << 20))); }
  CHECK(ends());
  CHECK(connections_reset() == before + 1);
  REQUIRE(socket.send(message("after", 2, 1)));
  CHECK(hears("remote/runner/one after"));
  for (const std::string& one_of : heard) CHECK(one_of.find("long") == std::string::npos);
  socket.unwatch();
}

TEST_CASE("roles connect to the sockets that they need (access.md A4)") {
  const auto entry = [](std::string_view role, bool enrols = false) {
    AccessEntry one;
    one.role = role;
    one.enrols = enrols;
    return one;
  };
  const auto all = [&](const AccessEntry& one) {
    std::string text;
    for (const char* name : {"records", "live-in", "live-out", "control", "jobs"})
      if (may_connect(one, name)) text += std::string(name) + " ";
    return text;
  };
  CHECK(all(entry("observe")) == "records live-out control ");
  CHECK(all(entry("control")) == "records live-out control ");
  CHECK(all(entry("runner")) == "records live-in jobs ");
  CHECK(all(entry("runner", true)) == "control ");
  CHECK(all(entry("run")).empty());  // nobody from elsewhere is the owner
  CHECK(all(entry("root")).empty());
}

TEST_CASE("identities are told apart by ZeroMQ's user id") {
  AccessEntry entry;
  entry.role = "runner";
  entry.name = "host/with/slashes";
  CHECK(identity_of(user_id_of(entry)) ==
        PeerIdentity{true, Role::kRunner, false, "host/with/slashes"});
  entry.enrols = true;
  entry.name.clear();
  CHECK(identity_of(user_id_of(entry)) == PeerIdentity{true, Role::kRunner, true, ""});
  CHECK(identity_of("owner") == PeerIdentity{});
  for (const char* wrong : {"", "x", "remote/run/x", "remote/root/x", "other/runner/x", "remote/"})
    CHECK_FALSE(identity_of(wrong).has_value());
}

TEST_CASE("a ticket is of one attempt of one runner (access.md A13)") {
  const std::string ticket = job_ticket("secret", 7, 1, "hostb", "a.bst");
  CHECK(ticket.size() == 32);
  CHECK(ticket == job_ticket("secret", 7, 1, "hostb", "a.bst"));
  for (const std::string& other :
       {job_ticket("Secret", 7, 1, "hostb", "a.bst"), job_ticket("secret", 8, 1, "hostb", "a.bst"),
        job_ticket("secret", 7, 2, "hostb", "a.bst"), job_ticket("secret", 7, 1, "hostc", "a.bst"),
        job_ticket("secret", 7, 1, "hostb", "b.bst")})
    CHECK(ticket != other);
}

TEST_CASE_METHOD(Fixture, "the access list is read again when it is another (access.md A23, A31)") {
  AccessReader reader(directory);
  const CurveKeys pair = add("runner", "one");
  CHECK(reader.by_key(pair.public_key, 1) != nullptr);
  CHECK(reader.revoked() == 0);
  list.entries[0].revoked = true;
  REQUIRE(write_access_list(directory, list).has_value());
  CHECK(reader.by_key(pair.public_key, 1) == nullptr);
  CHECK(reader.revoked() == 1);
  // One that can't be read lets nobody in.
  list.entries[0].revoked = false;
  REQUIRE(write_access_list(directory, list).has_value());
  REQUIRE(reader.by_key(pair.public_key, 1) != nullptr);
  REQUIRE(write_file_atomic(directory + "/access/list", "\xc1", 0600).has_value());
  CHECK(reader.by_key(pair.public_key, 1) == nullptr);
}

TEST_CASE_METHOD(Fixture, "what is appended to the access list counts at once (access.md A23)") {
  AccessReader reader(directory);
  auto log = open_access_list(directory).value();
  const auto key_of = [](int i) {
    const std::string number = std::to_string(i);
    return std::string(40 - number.size(), 'k') + number;
  };
  for (int i = 0; i < 1000; ++i) {
    AccessEntry entry;
    entry.public_key = key_of(i);
    entry.certificate = "certificate of " + key_of(i);
    entry.role = "runner";
    entry.name = std::to_string(i);
    CHECK(reader.by_key(key_of(i), 1) == nullptr);
    REQUIRE(log.append(encode(entry)).has_value());
    REQUIRE(reader.by_key(key_of(i), 1) != nullptr);
    CHECK(reader.by_key(key_of(i), 1)->name == entry.name);
    if (i % 100 != 0) continue;
    entry.revoked = true;
    REQUIRE(log.append(encode(entry)).has_value());
    CHECK(reader.by_certificate(entry.certificate, 1) == nullptr);
    CHECK(reader.by_key(key_of(i), 1) == nullptr);
  }
  CHECK(reader.revoked() == 10);
  CHECK(reader.by_key(key_of(1), 1)->name == "1");
  CHECK(reader.by_certificate("certificate of " + key_of(999), 1)->name == "999");
  CHECK(reader.by_key("", 1) == nullptr);
  CHECK(read_access_list(directory)->entries.size() == 1000);
}

TEST_CASE("a session that was joined is known by its directory") {
  const TestDirectory owned;
  const std::string& directory = owned.str();
  CHECK_FALSE(SessionPaths::of(directory).has_value());
  Joined joined;
  joined.ticket.session = "20261130-x";
  joined.ticket.host = "::1";
  joined.ticket.ports = {{"jobs", 7424}};
  joined.keys = {std::string(40, 'p'), std::string(40, 's')};
  REQUIRE(write_joined(directory, joined).has_value());
  const auto paths = SessionPaths::of(directory);
  REQUIRE(paths.has_value());
  CHECK(paths->id == "20261130-x");
  CHECK(paths->lives());
  CHECK_FALSE(paths->over());
  const Address address = paths->address("jobs");
  CHECK(address.endpoint == "tcp://[::1]:7424");
  REQUIRE(address.curve.has_value());
  CHECK(address.curve->keys.secret_key == std::string(40, 's'));
}
