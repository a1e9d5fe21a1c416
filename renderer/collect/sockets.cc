#include "renderer/collect/sockets.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::collect {

namespace {

constexpr Duration kConnect = std::chrono::seconds(10);
constexpr int kLookMs = 2;

int milliseconds_to(Duration deadline) {
  const Duration left = deadline - system_clock().monotonic();
  return static_cast<int>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(left).count()));
}

tl::unexpected<Error> unavailable(const Place& place, std::string_view why) {
  return fail("collect", "unavailable", fmt::format("{}: {}", place.text, why));
}

tl::unexpected<Error> unavailable(const Place& place, int cause) {
  return unavailable(place, std::strerror(cause));
}

Result<sockaddr_un> unix_address(const Place& place) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (place.path.size() >= sizeof address.sun_path)
    return fail("collect", "bad-path", fmt::format("{}: the path is too long", place.text));
  std::memcpy(address.sun_path, place.path.c_str(), place.path.size() + 1);
  return address;
}

Status finish_connecting(const Place& place, int fd) {
  pollfd waiting{fd, POLLOUT, 0};
  if (::poll(&waiting, 1, milliseconds_to(system_clock().monotonic() + kConnect)) != 1)
    return unavailable(place, ETIMEDOUT);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? Status() : unavailable(place, error);
}

Result<UniqueFd> connect_unix(const Place& place, int type) {
  const sockaddr_un address = TRY(unix_address(place));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return unavailable(place, errno);
  return fd;
}

Result<UniqueFd> connect_inet(const Place& place, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found);
      error != 0)
    return unavailable(place, ::gai_strerror(error));
  tl::unexpected<Error> last = unavailable(place, EADDRNOTAVAIL);
  UniqueFd connected;
  for (const addrinfo* one = found; one != nullptr && !connected; one = one->ai_next) {
    UniqueFd fd(::socket(one->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) continue;
    if (::connect(fd.get(), one->ai_addr, one->ai_addrlen) != 0) {
      if (errno != EINPROGRESS) {
        last = unavailable(place, errno);
        continue;
      }
      if (auto made = finish_connecting(place, fd.get()); !made) {
        last = tl::unexpected<Error>(made.error());
        continue;
      }
    }
    connected = std::move(fd);
  }
  ::freeaddrinfo(found);
  if (!connected) return last;
  return connected;
}

}  // namespace

Result<Place> read_place(const std::string& text) {
  Place place;
  place.text = text;
  if (text.starts_with("unix:") || text.starts_with('/')) {
    place.path = text.starts_with('/') ? text : text.substr(5);
    if (!place.path.empty()) return place;
  } else if (text.starts_with("tcp://") || text.starts_with("udp://")) {
    place.kind = text.starts_with("tcp") ? Place::Kind::kTcp : Place::Kind::kUdp;
    const std::string rest = text.substr(6);
    const std::size_t colon = rest.rfind(':');
    if (colon != std::string::npos) {
      place.host = rest.substr(0, colon);
      place.port = rest.substr(colon + 1);
      if (place.host.starts_with('[') && place.host.ends_with(']'))
        place.host = place.host.substr(1, place.host.size() - 2);
      if (!place.host.empty() && !place.port.empty() &&
          place.port.find_first_not_of("0123456789") == std::string::npos)
        return place;
    }
  }
  return fail("app", "usage",
              fmt::format("'{}' is no address such as tcp://HOST:PORT or unix:PATH", text));
}

Status send_and_confirm(const Place& place, std::string_view text, Duration timeout) {
  const UniqueFd fd = TRY(place.kind == Place::Kind::kUnix ? connect_unix(place, SOCK_STREAM)
                                                           : connect_inet(place, SOCK_STREAM));
  Duration deadline = system_clock().monotonic() + timeout;
  bool said = false;
  for (;;) {
    if (text.empty() && !std::exchange(said, true) && ::shutdown(fd.get(), SHUT_WR) != 0)
      return unavailable(place, errno);
    pollfd waiting{fd.get(), static_cast<short>(text.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    const int ready = ::poll(&waiting, 1, milliseconds_to(deadline));
    if (ready < 0 && errno == EINTR) continue;
    // One that only talks doesn't put the end off.
    if (ready <= 0 || system_clock().monotonic() >= deadline) {
      return unavailable(place, text.empty() ? "it doesn't end the connection, so it isn't known "
                                               "whether all was read"
                                             : "it takes no more");
    }
    if ((waiting.revents & POLLOUT) != 0 && !text.empty()) {
      const ssize_t n = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN && errno != EINTR) return unavailable(place, errno);
      if (n > 0) {
        text.remove_prefix(static_cast<std::size_t>(n));
        deadline = system_clock().monotonic() + timeout;
      }
    }
    if ((waiting.revents & ~POLLOUT) == 0) continue;
    char answer[4096];  // what it may say is nothing to us
    const ssize_t n = ::recv(fd.get(), answer, sizeof answer, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return unavailable(place, errno);
    if (n != 0) continue;
    return text.empty() ? Status() : unavailable(place, "it has ended the connection");
  }
}

Status Datagrams::connect() {
  socket_ = TRY(place_.kind == Place::Kind::kUnix ? connect_unix(place_, SOCK_DGRAM)
                                                  : connect_inet(place_, SOCK_DGRAM));
  return {};
}

tl::unexpected<Error> Datagrams::lost(int cause) {
  socket_.reset();
  return unavailable(place_, cause);
}

Status Datagrams::send(std::string_view datagram, bool as_file) {
  if (!socket_) CHECK(connect());
  const Duration deadline = system_clock().monotonic() + kConnect;
  for (;;) {
    if (::send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) return {};
    if (errno == EMSGSIZE && as_file) break;
    if (errno == EMSGSIZE)
      return fail("collect", "too-large",
                  fmt::format("{}: a record of {} bytes is too large for a datagram", place_.text,
                              datagram.size()));
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return lost(errno);
    pollfd waiting{socket_.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, milliseconds_to(deadline)) == 0) return lost(ETIMEDOUT);
  }
  const UniqueFd file(::memfd_create("sluice-record", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return fail_errno(errno, "memfd_create");
  CHECK(write_all(file.get(), datagram));
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
      0)
    return fail_errno(errno, "memfd");
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return lost(errno);
    pollfd waiting{socket_.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, milliseconds_to(deadline)) == 0) return lost(ETIMEDOUT);
  }
  return {};
}

Status Datagrams::confirm(Duration timeout) {
  if (place_.kind != Place::Kind::kUnix || !socket_) return {};
  const Duration deadline = system_clock().monotonic() + timeout;
  for (int left = 1; left != 0;) {
    if (::ioctl(socket_.get(), SIOCOUTQ, &left) != 0) return lost(errno);
    if (left == 0) break;
    if (system_clock().monotonic() >= deadline) return lost(ETIMEDOUT);
    // The kernel wakes nobody when a datagram is read.
    ::poll(nullptr, 0, kLookMs);
  }
  // A socket that was closed with unread datagrams in it has none left either. One that is empty is
  // ignored by who is there, and refused by nobody else.
  while (::send(socket_.get(), "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EAGAIN || errno == ENOBUFS) return {};
    if (errno != EINTR) return lost(errno);
  }
  return {};
}

}  // namespace sluice::collect
