// For tests: an execution server with an action cache, which really runs commands, in bubblewrap;
// and does so wrongly when told to. Its blobs are those of a store that a sluice-cas may serve.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/cas.h"

namespace sluice::remote::test {

// What it does wrong. "": nothing.
//
//   in what it answers to Execute
//     fails             the operation ends with an error of the server's
//     cannot            ... with a response that says that it couldn't
//     garbage           ... with what is no response
//     denies            UNAUTHENTICATED
//     lacks             FAILED_PRECONDITION, the first time
//   with the connection
//     hangs             the operation never ends, until it is cancelled
//     breaks            the first stream breaks when the command has begun
//     forgets           ... and then nothing is known of the operation
//     deaf              ... and WaitExecution isn't implemented
//     ends              every stream ends without a result
//   in the result
//     trees             directories are told as Tree messages: that is allowed
//     bad-tree          the Tree is none
//     no-digest         directories have no digest
//     foreign-output    an output that nobody asked for
//     file-output       a file as output
//     lost              blobs of the outputs aren't in the store
//     flipped           the digest of an output is of something else than a directory
struct ExecMisdeeds {
  std::string what;
};

class ExecServer {
 public:
  virtual ~ExecServer() = default;
  virtual std::string url() const = 0;
  // The actions that were run, as hashes, in their order; those that the action cache was asked
  // for and knew; names of operations that were cancelled.
  virtual std::vector<std::string> executed() = 0;
  virtual std::vector<std::string> known() = 0;
  virtual std::vector<std::string> cancelled() = 0;
  // How many streams were asked for by WaitExecution.
  virtual unsigned waited() = 0;
};

// Serves until it is destroyed. `store` must outlive it.
std::unique_ptr<ExecServer> start_exec_server(store::Cas& store, ExecMisdeeds misdeeds);

}  // namespace sluice::remote::test
