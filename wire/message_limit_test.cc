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

TEST_CASE("a connection takes back what it subscribes to, and nothing else (records R51b)") {
  const std::string subscribe = "\x09SUBSCRIBE", cancel = std::string("\x06") + "CANCEL";
  const auto text = [](char what, const std::string& topic) { return what + topic; };
  Subscriptions said;
  CHECK(said.take(false, text(1, "status/")));
  CHECK(said.take(false, text(1, "status/")));  // once more is the same
  CHECK(said.take(true, subscribe + "log/7/"));
  CHECK(said.take(false, text(1, "")));
  CHECK(said.take(false, text(0, "status/")));
  CHECK_FALSE(said.take(false, text(0, "status/")));
  CHECK_FALSE(said.take(true, cancel + "status/"));
  CHECK(said.take(true, cancel + "log/7/"));
  CHECK_FALSE(said.take(false, text(0, "log/7/")));
  CHECK_FALSE(said.empty());
  CHECK(said.take(true, cancel));
  CHECK(said.empty());
  // Whatever else is said is none.
  for (const std::string other : {"HELLO", "", "\x81", "\x09SUBSCRIB", "status/"}) {
    CHECK(said.take(false, other));
    CHECK(said.take(true, other));
  }
  CHECK(said.take(true, text(0, "x")));
  CHECK(said.empty());
}

TEST_CASE("a connection subscribes to so much (records R51c)") {
  Subscriptions many;
  for (std::size_t i = 0; i < Subscriptions::kMostTopics; ++i)
    REQUIRE(many.take(false, "\1" + std::to_string(i)));
  CHECK_FALSE(many.take(false, "\1x"));
  CHECK(many.take(false, std::string(1, '\0') + "7"));
  CHECK(many.take(false, "\1x"));

  Subscriptions wide;
  REQUIRE(wide.take(false, "\1" + std::string(Subscriptions::kMostBytes - 10, 'x')));
  CHECK_FALSE(wide.take(false, "\1" + std::string(11, 'y')));
  CHECK(wide.take(false, "\1" + std::string(10, 'y')));
}

TEST_CASE("what is no ZMTP 3 isn't followed, and isn't let in") {
  MessageMeter old, text;
  CHECK_FALSE(take(old, greeting(2)));
  CHECK_FALSE(take(text, "GET / HTTP/1.1\r\n\r\n"));
}
