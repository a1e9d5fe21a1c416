#include "wire/message_limit.h"

#include <string>

#include <catch2/catch.hpp>

using namespace sluice::wire;

namespace {

std::string greeting(unsigned char version = 3) {
  std::string bytes(64, '\0');
  bytes[0] = '\xff';
  bytes[9] = 0x7f;
  bytes[10] = static_cast<char>(version);
  return bytes;
}

std::string frame(unsigned flags, const std::string& body) {
  std::string bytes;
  if (body.size() > 255) {
    bytes += static_cast<char>(flags | 2);
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(body.size() >> shift);
  } else {
    bytes += static_cast<char>(flags);
    bytes += static_cast<char>(body.size());
  }
  return bytes + body;
}

// In pieces of `step` bytes, as a socket may give them.
bool take(MessageMeter& meter, const std::string& bytes, std::size_t step = 1u << 20) {
  bool fine = true;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string piece = bytes.substr(at, step);
    fine = meter.take({reinterpret_cast<const unsigned char*>(piece.data()), piece.size()});
  }
  return fine;
}

constexpr unsigned kMore = 1, kCommand = 4;

}  // namespace

TEST_CASE("messages of as many frames as are allowed go on for ever (records R5a)") {
  for (const std::size_t step : {1u, 7u, 1u << 20}) {
    MessageMeter meter;
    CHECK(take(meter, greeting(), step));
    for (int message = 0; message < 20; ++message) {
      std::string bytes;
      for (std::size_t i = 1; i < kMostFrames; ++i)
        bytes += frame(kMore, i % 2 == 0 ? "" : std::string(300, 'x'));
      bytes += frame(kCommand, std::string(30, 'p')) + frame(0, "last");
      CHECK(take(meter, bytes, step));
    }
  }
}

TEST_CASE("a message without end is over the limit (records R5a)") {
  MessageMeter meter;
  REQUIRE(take(meter, greeting()));
  SECTION("by its frames") {
    for (std::size_t i = 0; i < kMostFrames; ++i) REQUIRE(take(meter, frame(kMore, "")));
    CHECK_FALSE(take(meter, frame(kMore, "")));
  }
  SECTION("by its bytes, before they are there") {
    const std::string half(kMostMessageBytes / 2, 'x');
    REQUIRE(take(meter, frame(kMore, half)));
    REQUIRE(take(meter, frame(kMore, half)));
    CHECK_FALSE(take(meter, frame(kMore, "x")));
  }
  SECTION("by a length of all bits") {
    CHECK_FALSE(take(meter, std::string(1, '\x03') + std::string(8, '\xff')));
  }
  CHECK_FALSE(take(meter, frame(0, "")));
}

TEST_CASE("what is no ZMTP 3 isn't followed, and isn't let in") {
  MessageMeter old, text;
  CHECK_FALSE(take(old, greeting(2)));
  CHECK_FALSE(take(text, "GET / HTTP/1.1\r\n\r\n"));
}
