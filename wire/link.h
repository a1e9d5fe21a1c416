// What the ends of the records and control links share: a DEALER that says HELLO whenever it was
// connected (again), knows whether it was welcomed, and counts the beats for which the broker was
// silent. Used by the ends in this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "wire/hello.h"
#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

// Lives in the reactor's thread. A callback may destroy the link.
class Link {
 public:
  struct Callbacks {
    // Called when the broker took us in; what was under way is to be said again.
    std::function<void(const Welcome&)> on_welcome;
    // Gets every message but WELCOME, HEARTBEAT and the REFUSED of a peer that said no HELLO.
    std::function<void(std::string_view name, std::string_view body)> on_message;
    // Called once each beat. `silent` is how many beats ago anything came. Beats are counted, not
    // clock time: after a stop or a jump of the clock what has arrived is read first.
    std::function<void(unsigned silent)> on_beat;
    // Gives HEARTBEAT's count; where it is absent that is 0.
    std::function<std::uint64_t()> count;
  };
  static constexpr Duration kBeat = std::chrono::seconds(1);

  static Result<std::unique_ptr<Link>> create(Context& context, Reactor& reactor,
                                              const Address& endpoint, Hello hello,
                                              Callbacks callbacks);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  bool welcomed() const { return greeting_.welcomed(); }
  const Hello& hello() const { return hello_; }
  // Sends a message; false when not welcomed, or when the broker takes nothing at the moment.
  bool send(std::string_view name, std::string body);
  // How many messages from the broker were none of its protocol.
  std::uint64_t malformed() const { return malformed_; }

 private:
  Link(Socket socket, Reactor& reactor, Hello hello, Callbacks callbacks);
  void receive();
  void handle(std::span<const std::string_view> frames);
  void say_hello();
  void beat();

  Socket socket_;
  Reactor& reactor_;
  Hello hello_;
  Callbacks callbacks_;
  Reactor::TimerId timer_ = 0;
  Greeting greeting_;
  bool said_hello_ = false;
  unsigned silent_ = 0;
  unsigned since_hello_ = 0;
  std::uint64_t malformed_ = 0;
  // Expires with the link: a loop that called out looks here before it goes on.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sluice::wire
