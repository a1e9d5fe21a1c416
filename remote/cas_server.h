// A Cache over gRPC: blobs (CAS, ByteStream), names (Remote Asset), capabilities. Endpoints differ
// in their addresses, in who may connect and in whether pushing is allowed.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "remote/access_check.h"
#include "remote/cache.h"

namespace grpc {
class Service;
}

namespace sluice::remote {

struct Endpoint {
  std::string address;  // HOST:PORT, port 0: the system chooses; [::1]:PORT; unix:PATH
  bool push = false;
  // PEM, not paths. With a key and a certificate the endpoint speaks TLS; with `client_certs` it
  // takes only clients that show a certificate signed by one of them.
  std::string key, certificate, client_certs;
  // Not null: clients show certificates that nobody has signed, and each call is asked for there.
  // Then the port may be held by somebody who doesn't listen.
  std::shared_ptr<AccessCheck> access;
  bool names = true;          // of artifacts and sources, besides blobs
  bool any_instance = false;  // whatever name clients give is ours
  // What the capabilities say of services that are somebody else's.
  bool executes = false, updates_results = false;
};

// A server, which serves in threads of its own until it is destroyed.
class CasServer {
 public:
  virtual ~CasServer() = default;
  // The URLs as clients write them, in the order of the endpoints: "http://127.0.0.1:41234".
  virtual const std::vector<std::string>& urls() const = 0;
  // Takes no more calls, and gives those that run a moment to end.
  virtual void stop() = 0;
};

// A call whose client neither takes nor sends anything for `silence` is ended. `more` are served at
// each endpoint besides, not owned. Errors: domain "server", "bind" and "bad-certificate".
Result<std::unique_ptr<CasServer>> start_cas_server(Cache& cache,
                                                    const std::vector<Endpoint>& endpoints,
                                                    const std::string& instance_name,
                                                    std::chrono::seconds silence,
                                                    const std::vector<grpc::Service*>& more = {});

}  // namespace sluice::remote
