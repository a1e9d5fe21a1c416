// An event loop for thousands of ZeroMQ sockets in one thread. wire::Reactor asks every socket in
// each turn, which suits a process with a dozen; here a turn costs what the sockets have to say.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "wire/socket.h"

namespace sluice::bench {

class Loop {
 public:
  Loop();

  // A watched socket. It is watched until its Watch is gone, which must be before the socket is.
  class Watch {
   public:
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    // Must be called after something was sent: libzmq may have taken the descriptor's signal then.
    void sent();

   private:
    friend class Loop;
    Watch(Loop& loop, wire::Socket& socket, int fd, std::function<void()> on_readable)
        : loop_(loop), socket_(socket), fd_(fd), on_readable_(std::move(on_readable)) {}
    Loop& loop_;
    wire::Socket& socket_;
    int fd_;
    std::function<void()> on_readable_;
    bool queued_ = false;
  };
  // `on_readable` must receive until there is nothing left. It may not end its own Watch.
  std::unique_ptr<Watch> watch(wire::Socket& socket, std::function<void()> on_readable);

  // Waits for at most `wait`, and serves what has something to say.
  void turn(Duration wait);

 private:
  void queue(Watch& watch);

  UniqueFd epoll_;
  std::vector<Watch*> queue_;  // to be asked; nullptr: gone meanwhile
};

}  // namespace sluice::bench
