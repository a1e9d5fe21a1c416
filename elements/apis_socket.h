// The socket of remote-apis-socket in a sandbox, and sluice-apis behind it, as long as the sandbox
// runs. spec/sandbox.md section 13.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"
#include "elements/job_data.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/tree.h"
#include "wire/held_helper.h"

namespace sluice::elements {

class ApisSocket {
 public:
  // Serves the socket that the element asks for, and mounts it: a place for it is made in `root`,
  // unless there is something, or a filesystem of the sandbox's own (/dev, an empty /tmp).
  // `directory`: an empty one, for the socket itself. Errors: domain "sandbox".
  static Result<ApisSocket> open(const JobData& data, store::Cas& cas, store::Tree& root,
                                 const std::string& directory, sandbox::SandboxRun& run);
  // Takes the place out of the root again.
  Status remove_place(store::Tree& root) const;

 private:
  ApisSocket(wire::HeldHelper helper, std::string path)
      : helper_(std::move(helper)), path_(std::move(path)) {}

  wire::HeldHelper helper_;
  std::string path_;
  std::string made_;  // the topmost entry that was made; "": none
};

}  // namespace sluice::elements
