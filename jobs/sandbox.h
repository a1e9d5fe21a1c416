// One batch of commands in bubblewrap (spec/sandbox.md): what is mounted where is the
// caller's business, this makes the namespaces and waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::jobs {

class Cancel;

// A job's ends of the pipes with tokens (token_pool.h); -1: it has none.
struct TokenEnds {
  int read = -1, write = -1;
};
// Their numbers in a sandbox: above what shells and configure scripts use.
inline constexpr TokenEnds kTokensInside{198, 199};

struct SandboxRun {
  // The root, lowest layer first. One layer under a read-only root is bound to `merged`; else an
  // overlay is mounted there.
  std::vector<std::string> layers;
  bool root_read_only = true;
  std::string upper, work;  // of a writable root: directories on one filesystem, `work` empty
  std::string merged;       // an empty directory, as the root's mount point

  struct Mount {
    std::string source;  // on the host
    std::string target;  // in the sandbox: absolute, plain, there, a directory as the source is
    bool writable = false;
  };
  std::vector<Mount> mounts;  // in this order, on top of the root

  std::vector<std::string> argv;
  std::string directory;
  model::StringMap environment;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool narrow = false;  // see narrow_platform()
  int output = -1;  // standard output and error
  TokenEnds tokens;  // inherited as kTokensInside
};

// Runs it; the command's exit status (128 + signal when one killed it). Errors: domain
// "sandbox", reason "unavailable-local-sandbox" when no command was started; domain "job",
// reason "killed" when `cancel` came (every process of the sandbox is gone then).
Result<int> run_sandbox(const SandboxRun& run, Cancel& cancel);

// Told to end: SIGTERM, read from a signalfd. One for each process, made while it has one thread.
class Cancel {
 public:
  // Blocks SIGTERM. -1 and never when the kernel refuses.
  Cancel();
  // For a process that nobody cancels, and that ends by SIGTERM as others do (its sandboxes end with it).
  struct Never {};
  explicit Cancel(Never) {}
  ~Cancel();
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;
  int fd() const { return fd_; }
  bool requested();
  // `job`/`killed` when requested.
  Status check();

 private:
  int fd_ = -1;
  bool requested_ = false;
};

// Whether what is built is for the 32-bit sister of this machine's architecture (x86-32 on x86-64, aarch32 on aarch64):
// its programs run here, and `uname` tells them so (personality PER_LINUX32). The same platform is false.
// Errors: "sandbox"/"unavailable-local-sandbox" for any other, as nothing of it runs here.
Result<bool> narrow_platform(const model::Sandbox& sandbox);

// The entries of /proc that are mounted read-only: sys and, when the outer user is root, all that
// his processes could write without a capability. A fact of the machine, found out once.
const std::vector<std::string>& covered_proc();

// Where bubblewrap is; "" when PATH has none.
std::string find_bubblewrap();

}  // namespace sluice::jobs
