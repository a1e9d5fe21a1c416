// Who may do what at a session's own sluice-cas (spec/access.md): decided for each call by the
// certificate that the client showed, as the session's list of those who were enrolled says then.
// Nobody signs those certificates, and TLS proves that the client has the key: the list knows their
// fingerprints.
//
//   runner             asks for, reads and writes blobs
//   observe, control   read blobs and names
//
// Names are the session's host's alone to give. Calls are named by their paths on the wire, and one
// that isn't in the table is nobody's.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "wire/access.h"

namespace sluice::remote {

// Thread-safe.
class AccessCheck {
 public:
  // `directory`: the session's state directory.
  explicit AccessCheck(std::string directory) : reader_(std::move(directory)) {}

  // Whether the client with this certificate (PEM; "": it showed none) may make the call
  // ("/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs") at `now` (wall
  // clock, ns). Errors: domain "access", "unauthenticated" and "denied".
  Status check(std::string_view certificate, std::string_view call, std::int64_t now);

 private:
  std::string fingerprint_of(std::string_view certificate);

  std::mutex lock_;
  wire::AccessReader reader_;
  std::unordered_map<std::string, std::string> fingerprints_;  // by PEM
};

}  // namespace sluice::remote
