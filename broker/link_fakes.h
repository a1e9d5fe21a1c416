// What the cores of the links are driven with in unit tests.
#pragma once

#include <array>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/clock.h"
#include "broker/link_core.h"

namespace sluice::broker {

// Takes what a core sends, as its peers' sockets would.
struct FakeSocket {
  struct Message {
    std::string to, name, body;
  };
  std::vector<Message> sent;
  std::set<std::string> gone;
  std::set<std::string> full;

  Send send() {
    return [this](const std::string& identity, std::string_view name, std::string body) {
      if (gone.contains(identity)) return Sent::kGone;
      if (full.contains(identity)) return Sent::kFull;
      if (name != wire::Heartbeat::kName)
        sent.push_back({identity, std::string(name), std::move(body)});
      return Sent::kSent;
    };
  }
  // The names of what was sent to `identity`, and forgets them.
  std::string take(const std::string& identity) {
    std::string names;
    std::erase_if(sent, [&](const Message& message) {
      if (message.to != identity) return false;
      names += (names.empty() ? "" : " ") + message.name;
      if (message.name == wire::Refused::kName)
        names += ":" + wire::decode<wire::Refused>(message.body)->reason;
      return true;
    });
    return names;
  }
  // The only message sent to `identity`, decoded.
  template <typename T>
  T take_one(const std::string& identity) {
    std::vector<T> found;
    std::erase_if(sent, [&](const Message& message) {
      if (message.to != identity) return false;
      REQUIRE(message.name == T::kName);
      found.push_back(wire::decode<T>(message.body).value());
      return true;
    });
    REQUIRE(found.size() == 1);
    return found[0];
  }
};

// A message as a core is given it.
struct Said {
  std::string body;
  std::array<std::string_view, 2> frames;
  Said(std::string_view name, std::string packed) : body(std::move(packed)), frames{name, body} {}
  Said(const Said&) = delete;
  Said& operator=(const Said&) = delete;
  operator std::span<const std::string_view>() const { return frames; }
};

template <typename T>
Said frames_of(const T& message) {
  return {T::kName, wire::encode(message)};
}

inline wire::Hello hello_of(std::string protocol, std::string role, std::string instance,
                            std::uint64_t epoch = 1, bool service = false) {
  wire::Hello hello;
  hello.protocol = std::move(protocol);
  hello.role = std::move(role);
  hello.instance = std::move(instance);
  hello.epoch = epoch;
  hello.service = service;
  return hello;
}

}  // namespace sluice::broker
