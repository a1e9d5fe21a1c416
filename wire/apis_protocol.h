// What sluice-apis is asked: it serves one sandbox the Remote Execution API at a socket.
//
//   sluice-apis
//
// Standard input: one frame (wire/job_protocol.h) with an ApisRequest. What it comes by stays open
// as long as the sandbox runs; the program ends with it. Standard output: "ready\n" once clients
// can connect. An error goes to standard output as a packed ErrorBody, with status 1.
#pragma once

#include <optional>
#include <string>

#include "model/model.h"
#include "wire/codec.h"
#include "wire/model_fields.h"

namespace sluice::wire {

struct ApisRequest {
  std::string cachedir;
  std::string socket;  // a path, made; relative to the working directory, since paths are short
  // Where commands run, where blobs are besides the store, where results are; left out: nowhere, in
  // the store alone.
  std::optional<model::Remote> execution, storage, action_cache;
  bool updates = false;  // results may be added
};
template <typename C>
void fields(C& c, ApisRequest& m) {
  c("cachedir", m.cachedir);
  c("socket", m.socket);
  c.optional("execution", m.execution);
  c.optional("storage", m.storage);
  c.optional("action_cache", m.action_cache);
  c.optional("updates", m.updates);
}

}  // namespace sluice::wire
