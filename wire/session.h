// Where a session lies, how its processes are told so, and the line they have
// to the supervisor. Shared by every process; links no ZeroMQ.
//
// State, kept after the session's end: $XDG_STATE_HOME/sluice/sessions/ID/
//   lock             flock()ed by the supervisor while the session lives
//   session.json     id, project directory, verb, supervisor pid, started
//   records.log      the broker's record log
//   journal.log      the scheduler's journal
//   snapshots/N      snapshot N
//   logs/PROGRAM.log each process's own log
// Sockets, only while it lives, in a directory of mode 0700:
//   $XDG_RUNTIME_DIR/sluice/ID/ or /tmp/sluice-UID/ID/ (verified: a directory, ours, 0700)
//   records live-in live-out control jobs
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::wire {

inline constexpr const char* kEndpoints[] = {"records", "live-in", "live-out", "control", "jobs"};

struct SessionPaths {
  std::string id;
  std::string state;    // directory
  std::string runtime;  // directory

  std::string socket_path(std::string_view name) const { return runtime + "/" + std::string(name); }
  std::string endpoint(std::string_view name) const { return "ipc://" + socket_path(name); }
  std::string record_log() const { return state + "/records.log"; }
  std::string journal() const { return state + "/journal.log"; }
  std::string snapshot(std::uint32_t number) const { return state + "/snapshots/" + std::to_string(number); }
  std::string process_log(std::string_view program) const { return state + "/logs/" + std::string(program) + ".log"; }

  // Computed from the environment; makes nothing. An id has only [a-z0-9-], at
  // most 40 characters; a socket path that would be longer than 107 bytes is an error.
  static Result<SessionPaths> of(std::string_view id);
  // Makes both directories (state with its parents) and verifies the runtime one.
  Status make() const;
};

// A new id, sortable by time: "20261122-113755-042-3f9a" (milliseconds, then chance).
std::string new_session_id();
// Ids in the state directory, the oldest first.
std::vector<std::string> list_session_ids();

// What the supervisor gives each process on its command line:
//   PROGRAM --session ID --instance NAME --epoch N --supervisor FD [--listen NAME=FD ...]
struct ServiceOptions {
  SessionPaths paths;
  std::string instance;
  std::uint64_t epoch = 0;
  int supervisor_fd = -1;
  std::map<std::string, int> listening;  // endpoint's name -> descriptor
};
Result<ServiceOptions> parse_service_options(int argc, char** argv);

// The socket pair between the supervisor and each of its processes, in lines.
// Process to supervisor: "ready", "start runner" (scheduler only), "ending"
// (scheduler: the session's end was asked for by control), "ended", "trouble TEXT" (trouble()). Supervisor to process: "end" (finish in
// order). End of file: the other side is gone; a process whose supervisor is gone ends at once.
class SupervisorLine {
 public:
  explicit SupervisorLine(int fd) : fd_(fd) {}
  int fd() const { return fd_.get(); }
  Status send(std::string_view line);
  // "trouble TEXT": what the process must do and can't, said at each attempt. When that goes on the session fails for
  // this reason. The text may have several lines; one is made of them.
  Status trouble(std::string text);
  // Whole lines that have arrived; `closed` is set at end of file. Doesn't wait.
  std::vector<std::string> receive(bool& closed);

 private:
  UniqueFd fd_;
  std::string partial_;
};

}  // namespace sluice::wire
