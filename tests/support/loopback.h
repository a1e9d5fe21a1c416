// A listening socket on a port of this machine that the system has chosen, for a test.
#pragma once

#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/fd.h"

namespace sluice {

inline UniqueFd loopback_listener() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd.get(), 64) == 0);
  return fd;
}

// "tcp://127.0.0.1:PORT"
inline std::string endpoint_of(const UniqueFd& fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return fmt::format("tcp://127.0.0.1:{}", ntohs(address.sin_port));
}

}  // namespace sluice
