// Runners on hosts that ssh reaches: each is a child of an ssh(1) that stays connected, and is told
// to finish and leave when that connection's input ends, however it ends.
//
// The join file and the script that reads it (compose/ssh/join.sh) go over standard input, so that
// they are on no command line and in no file of the other machine. ssh asks nothing (BatchMode).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cli/runner_order.h"
#include "wire/reactor.h"

namespace sluice::cli {

// What becomes of a host after its connection has ended.
class Restarts {
 public:
  struct Next {
    enum class What { kOver, kAgain, kGivenUp } what = What::kOver;
    Duration delay = Duration::zero();  // kAgain
    std::string why;                    // for people
  };
  // `status` in the shell's numbers: 0 of a runner that left in order, 255 of ssh itself.
  // `connected`: the script has run there.
  Next ended(int status, bool connected, Duration lived);

 private:
  unsigned failures_ = 0;  // in a row
  bool reached_ = false;   // once at least
};

// What ssh is run with for a host; `options` are the user's, which count more than ours.
std::vector<std::string> ssh_command(const std::vector<std::string>& options,
                                     const std::string& host, const RunnerOrder& order);
// What it reads: the script, and what that reads.
std::string ssh_input(const RunnerOrder& order);

class SshRunners {
 public:
  struct Callbacks {
    std::function<void(std::string_view host, std::string_view line)> say;
    std::function<void(std::string_view host, std::string_view line)> warn;
    std::function<void()> on_over;  // no host has a runner any more, nor will have
  };
  SshRunners(wire::Reactor& reactor, RunnerOrder order, std::vector<std::string> options,
             Callbacks callbacks);
  ~SshRunners();

  void start(const std::vector<std::string>& hosts);
  // Has every runner finish what it builds and leave; nothing is started again.
  void end();
  // Breaks the connections off; runners there finish by themselves.
  void end_at_once();
  // Hosts that were given up.
  unsigned given_up() const { return given_up_; }

 private:
  struct Host;
  void connect(Host& host);
  void heard(Host& host);
  void line(Host& host, std::string_view text);
  void ended(Host& host);
  void after(Host& host, Restarts::Next next);
  void look_for_end();

  wire::Reactor& reactor_;
  RunnerOrder order_;
  std::vector<std::string> options_;
  Callbacks callbacks_;
  std::vector<std::unique_ptr<Host>> hosts_;
  bool ending_ = false;
  unsigned given_up_ = 0;
};

}  // namespace sluice::cli
