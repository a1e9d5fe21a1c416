// Sockets of destinations. Each call blocks, to its deadline at most. Errors: "collect"/
// "unavailable" when another try may help.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace sluice::collect {

struct Place {
  enum class Kind { kUnix, kUdp, kTcp };
  Kind kind = Kind::kUnix;
  std::string path;        // kUnix
  std::string host, port;  // else
  std::string text;        // as it was given
};
// Reads "/dev/log", "unix:PATH", "udp://HOST:PORT", "tcp://HOST:PORT", "tcp://[::1]:PORT". Error
// "app"/"usage".
Result<Place> read_place(const std::string& text);

// A connection on which records go out. That the other side's program has read all of it is known
// when it ends the connection after we have said that there is no more.
Status send_and_confirm(const Place& place, std::string_view text, Duration timeout);

// Datagrams, one after the other on a socket that is kept.
class Datagrams {
 public:
  explicit Datagrams(Place place) : place_(std::move(place)) {}
  // Sends one; by unix sockets, what is too large for that as a file in memory when `as_file` (as
  // journald takes it).
  Status send(std::string_view datagram, bool as_file);
  // Waits until all that was sent has been read, where the kernel knows it (unix sockets), and
  // makes sure that it was read, not lost with the other side's socket.
  Status confirm(Duration timeout);

 private:
  Status connect();
  tl::unexpected<Error> lost(int cause);
  const Place place_;
  UniqueFd socket_;
};

}  // namespace sluice::collect
