// Sandbox runs one batch of commands in bubblewrap (spec/sandbox.md): what is mounted where is the
// caller's business, this makes the namespaces and waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

#include "base/fd.h"
#include "base/result.h"
#include "base/tool.h"
#include "model/model.h"
#include "sandbox/output_relay.h"

namespace sluice::sandbox {

class Cancel;

// A job's ends of the pipes with tokens (token_pool.h); -1: it has none.
struct TokenEnds {
  int read = -1, write = -1;
};
// The numbers of the tokens' descriptors in a sandbox, above what shells and configure scripts use.
inline constexpr TokenEnds kTokensInside{198, 199};

struct SandboxTerminal {
  bool streams[3] = {false, false, false};
  termios modes{};
  winsize size{};
};

struct SandboxRun {
  // The root, lowest layer first. One layer under a read-only root is bound to `merged`; else an
  // overlay is mounted there.
  std::vector<std::string> layers;
  bool root_read_only = true;
  std::string upper, work;  // for a writable root: directories on one filesystem, `work` empty
  std::string merged;       // an empty directory, as the root's mount point

  struct Mount {
    std::string source;  // on the host
    std::string target;  // in the sandbox: absolute, plain, there, a directory as the source is
    bool writable = false;
    // A file or directory of the host's, with all that is mounted in it, writable; `target` may be
    // below /dev or /tmp, which it is mounted on top of, and lead through links of the root.
    bool host = false;
  };
  std::vector<Mount> mounts;  // in this order, on top of the root

  std::vector<std::string> argv;
  std::string directory;
  model::StringMap environment;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool narrow = false;   // see narrow_platform()
  bool network = false;  // the host's is used
  // Whether the root's own /tmp is seen, which holds something; else an empty one is mounted.
  bool own_temporary = false;
  // The bytes that a mounted /tmp may hold, and /dev with /dev/shm; a 4096th of that is the number
  // of files.
  std::uint64_t temporary = 0;
  // Standard streams; -1: /dev/null, or for errors what `output` is.
  int input = -1, output = -1, error = -1;
  // A terminal of the sandbox's own, which takes the place of streams and is its session's. Not
  // owned; null: there is none.
  const SandboxTerminal* terminal = nullptr;
  TokenEnds tokens;  // inherited as kTokensInside
};

// A sandbox in which the command was started. It is ended when this goes.
class Sandbox {
 public:
  // Errors: domain "sandbox", reason "unavailable-local-sandbox".
  static Result<std::unique_ptr<Sandbox>> start(const SandboxRun& run);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // The descriptor of its first process, readable when all are gone.
  int pidfd() const { return pidfd_.get(); }
  pid_t pid() const { return pid_; }
  // The other side of its terminal; -1: it has none.
  int terminal() const { return terminal_.get(); }
  // Kills all of its processes, at once.
  void kill();
  // Waits for the end. Gives the command's exit status (128 + signal when one killed it), or an
  // error when none was started, with what `told` gives: the end of what was written.
  Result<int> end(const std::function<std::string()>& told);

 private:
  Sandbox() = default;
  pid_t pid_ = -1;
  bool ended_ = false;
  UniqueFd pidfd_, status_, alive_, terminal_;
};

// Runs a sandbox to its end, and appends what it writes to run.output, a file, which the sandbox
// has no descriptor of. Gives the command's exit status as Sandbox::end() does. Errors besides:
// domain "sandbox", reason that of the limit that was exceeded (SandboxLimits), domain "job",
// reason "killed" when `cancel` came; every process of the sandbox is gone then.
Result<int> run_sandbox(const SandboxRun& run, const SandboxLimits& limits, Cancel& cancel);

// Cancel hears that the process is told to end: SIGTERM, read from a signalfd. There is one in a
// process, made while it has one thread.
class Cancel {
 public:
  // Blocks SIGTERM. When the kernel refuses a signalfd, fd() is -1 and nothing is ever requested.
  Cancel();
  // For a process that nobody cancels, and that ends by SIGTERM as others do (its sandboxes end
  // with it).
  struct Never {};
  explicit Cancel(Never) {}
  ~Cancel();
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;
  int fd() const { return fd_; }
  bool requested();
  // "job"/"killed" when it was requested.
  Status check();
  // For a program that is run for the job.
  Stop stop() {
    return {fd_, [this] { return requested(); }};
  }

 private:
  int fd_ = -1;
  bool requested_ = false;
};

// Whether what is built is for the 32-bit sister of this machine's architecture (x86-32 on x86-64,
// aarch32 on aarch64): its programs run here, and `uname` tells them so (personality PER_LINUX32).
// The same platform is false, and so is one that is emulated here (platform.h). Errors:
// "sandbox"/"unavailable-local-sandbox" for any other, as nothing of it runs here.
Result<bool> narrow_platform(const model::Sandbox& sandbox);

// SandboxRun::temporary as the user's settings have it, or a share of this machine's memory.
std::uint64_t temporary_size(const model::Settings& settings);

// The path of bubblewrap; "" when PATH has none.
std::string find_bubblewrap();

}  // namespace sluice::sandbox
