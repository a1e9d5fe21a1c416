// Where an end of a link connects to. On ipc an endpoint is all; over TCP there are the keys by
// which both ends know each other (CURVE).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "wire/access.h"

namespace sluice::wire {

struct CurveClient {
  std::string server_key;  // the session's public key, Z85
  CurveKeys keys;          // this end's own
};

struct Address {
  std::string endpoint;  // "ipc:///run/...", "tcp://host:7420"
  std::optional<CurveClient> curve;

  Address() = default;
  // What has no keys is written as its endpoint alone.
  Address(std::string endpoint_of) : endpoint(std::move(endpoint_of)) {}
  Address(const char* endpoint_of) : endpoint(endpoint_of) {}
  Address(std::string endpoint_of, CurveClient by)
      : endpoint(std::move(endpoint_of)), curve(std::move(by)) {}
};

}  // namespace sluice::wire
