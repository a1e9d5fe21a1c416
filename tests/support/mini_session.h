// A session of which only the broker is real: listening sockets, a supervisor's
// line and the real sluice-broker, in directories of its own that go with it.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/process.h"
#include "tests/support/test_directory.h"
#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/session.h"
#include "wire/socket.h"

namespace sluice::testing {

// Fails the running test (a Catch2 REQUIRE) when something doesn't work.
class MiniSession {
 public:
  MiniSession();
  ~MiniSession();
  MiniSession(const MiniSession&) = delete;
  MiniSession& operator=(const MiniSession&) = delete;

  // Starts a broker on the listening sockets and waits until it is ready.
  void start_broker();
  // SIGKILL, and waits for its end.
  void kill_broker();
  // Says "end"; end_broker() waits for "ended" and returns the exit status (255: not in time).
  void say_end();
  int end_broker(Duration limit = std::chrono::seconds(10));
  // Closes the supervisor's end of the line; the exit status (255: not in time).
  int leave_broker();
  const Process& broker() const { return broker_; }
  bool broker_runs() const;

  const wire::SessionPaths& paths() const { return paths_; }
  std::string endpoint(std::string_view name) const { return paths_.endpoint(name); }
  std::string directory() const { return directory_; }

  wire::Hello hello(std::string protocol, std::string role, std::string instance,
                    std::uint64_t epoch = 1) const;

 private:
  int wait_exit(Duration limit);

  TestDirectory owned_;
  const std::string directory_ = owned_.str();
  wire::SessionPaths paths_;
  std::map<std::string, UniqueFd> listening_;
  Process broker_;
  std::unique_ptr<wire::SupervisorLine> line_;
  std::uint64_t epoch_ = 0;
};

// Runs the reactor until `done` holds; false when it doesn't within `limit`.
bool run_until(wire::Reactor& reactor, const std::function<bool()>& done,
               Duration limit = std::chrono::seconds(20));

// A peer that says what it likes: a bare DEALER.
class RawPeer {
 public:
  RawPeer(wire::Context& context, const std::string& endpoint);
  void send(wire::Frames frames);
  template <typename T>
  void say(const T& message) {
    send({std::string(T::kName), wire::encode(message)});
  }
  // The next message but probes and heartbeats; empty when none comes in time.
  wire::Frames receive(Duration limit = std::chrono::seconds(5));
  // The next one, decoded; fails the test when it is another.
  template <typename T>
  T expect() {
    const wire::Frames frames = receive();
    check_name(frames, T::kName);
    auto message = wire::decode<T>(frames[1]);
    check_decoded(message.has_value());
    return *message;
  }
  wire::Welcome greet(const wire::Hello& hello) {
    say(hello);
    return expect<wire::Welcome>();
  }

 private:
  static void check_name(const wire::Frames& frames, std::string_view name);
  static void check_decoded(bool decoded);
  wire::Socket socket_;
};

}  // namespace sluice::testing
