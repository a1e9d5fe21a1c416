// For tests: a server that speaks gRPC properly and says what it shouldn't.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "store/cas.h"

namespace sluice::remote::test {

struct Misdeeds {
  store::Digest name;                    // what any name leads to
  std::optional<std::string> name_hash;  // what is said instead of its hash
  std::int64_t batch_limit = 1000;       // in the capabilities
  // "": as it is; "endless", "short", "flipped"; "breaks-once": the connection, half-way; "hangs";
  // "stalls": half-way; "slow": in ten parts, a quarter of a second apart
  std::string stream;
  bool batch_flipped = false;
  bool silent = false;  // when it is asked for a name
  bool denies = false;  // with UNAUTHENTICATED
};

// Serves the blobs of `cas` on a port of its own until it is destroyed. What it is given must
// outlive it.
class BadServer {
 public:
  virtual ~BadServer() = default;
  virtual std::string url() const = 0;
  // Offsets at which streams were asked for, in their order.
  virtual std::vector<std::int64_t> offsets() = 0;
};
std::unique_ptr<BadServer> start_bad_server(const store::Cas& cas, Misdeeds misdeeds);

}  // namespace sluice::remote::test
