// One server, as the rest of remote/ sees it: plain values, no gRPC. What it answers is as it came;
// only shapes were looked at. transfer.h checks content.
//
// Errors: domain "remote", reasons as in protocol.h, and "not-found" (of a blob), "full" (the
// server has no room), "too-large" (for one message).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/cas.h"
#include "wire/remote_protocol.h"

namespace sluice::remote {

using wire::RemoteNote;
using wire::RemoteReply;
using wire::RemoteRequest;
using wire::RemoteSpec;
using wire::SourceName;

using store::Digest;

struct PeerBlob {
  Digest digest;
  std::string data;
  std::optional<Error> error;  // of this blob alone
};

// One server. Thread-safe. Calls wait until they are answered or time is up, and are tried again as
// the RemoteSpec says.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual const RemoteSpec& spec() const = 0;

  // How many bytes of blobs a batch may have.
  virtual Result<std::size_t> batch_limit() = 0;
  // Checks that the services for names answer: fetching, and pushing when the remote is for that.
  virtual Status check_index() = 0;

  virtual Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) = 0;
  virtual Result<std::vector<PeerBlob>> read_batch(const std::vector<Digest>& digests) = 0;
  // Returns the blobs that didn't arrive.
  virtual Result<std::vector<PeerBlob>> write_batch(const std::vector<PeerBlob>& blobs) = 0;
  // Reads a blob in parts. An error of `sink` ends that and is returned.
  virtual Status read_stream(const Digest& digest,
                             const std::function<Status(std::string_view part)>& sink) = 0;
  // Sends what `fd` has from its beginning on.
  virtual Status write_stream(const Digest& digest, int fd) = 0;

  // What the first name that the server knows stands for; std::nullopt when it knows none.
  virtual Result<std::optional<Digest>> fetch_blob(const std::vector<std::string>& uris) = 0;
  virtual Result<std::optional<Digest>> fetch_directory(const std::vector<std::string>& uris) = 0;
  virtual Status push_blob(const std::vector<std::string>& uris, const Digest& digest,
                           const std::vector<Digest>& blobs,
                           const std::vector<Digest>& directories) = 0;
  virtual Status push_directory(const std::vector<std::string>& uris, const Digest& root) = 0;
};

// How long a server may take for the answer to a call, and within a stream for each part:
// `request_timeout`, or 60 s where nothing is said. 0: for ever.
inline std::chrono::seconds call_timeout(const RemoteSpec& spec) {
  return std::chrono::seconds(
      std::clamp<std::int64_t>(spec.request_timeout.value_or(60), 0, 86'400));
}

// A peer that sends nothing yet. Error: "bad-remote".
Result<std::unique_ptr<Peer>> connect(const RemoteSpec& spec);
// The same for a server whose certificate has `server_name` instead of its address' name (""), and
// which is looked for again within seconds when it was away.
Result<std::unique_ptr<Peer>> connect_to(const RemoteSpec& spec, const std::string& server_name);

}  // namespace sluice::remote
