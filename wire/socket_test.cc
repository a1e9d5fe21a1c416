#include "wire/socket.h"

#include <catch2/catch.hpp>

#include "tests/support/few_threads.h"

using namespace sluice;

TEST_CASE("a socket for which there are no threads is an error") {
  // ZeroMQ would abort the process.
  for (const rlim_t limit : {1, 2}) {
    const int code = testing::with_threads(limit, [] {
      wire::Context context;
      const auto socket = wire::Socket::create(context, wire::SocketKind::kDealer, {});
      return !socket && socket.error().reason == "eagain" ? 0 : 1;
    });
    CHECK(code == 0);
  }
}
