// What sluice-apis serves in a sandbox (remote-apis-socket; recc uses it): blobs of the local store
// and, where there is one, of the storage service behind it; results of actions, of the action
// cache that is configured or of this cache directory; commands, where an execution service is
// configured, by which they are run.
//
// Whoever asks is a build's command, and trusted with no more than builds are: it can add blobs and
// read those whose digest it knows, it knows no name of an artifact or a source, and results are
// added only where the element says so.
#pragma once

#include <memory>

#include "base/result.h"
#include "wire/apis_protocol.h"

namespace sluice::remote {

class ApisServer {
 public:
  virtual ~ApisServer() = default;
};

// Serves until it is destroyed. Errors: those of start_cas_server() and "bad-remote".
Result<std::unique_ptr<ApisServer>> start_apis_server(const wire::ApisRequest& request);

}  // namespace sluice::remote
