// Where a session lies, how its processes are told so, and the line they have to the supervisor.
// Shared by every process; links no ZeroMQ.
//
// State, kept after the session's end: $XDG_STATE_HOME/sluice/sessions/ID/
//   lock             flock()ed by the supervisor while the session lives
//   session.json     id, project directory, verb, supervisor pid, started; of one that has ended its
//                    course: outcome, targets, ended, duration
//   records.log      the broker's record log
//   journal.log      the scheduler's journal
//   snapshots/N      snapshot N
//   logs/PROGRAM.log each process's own log
//   runtime          where its sockets are: a path and LF
// Sockets (records, live-in, live-out, control, jobs), only while it lives, in a directory of mode
// 0700, the first of these that is nobody else's (each is verified: a directory, ours, 0700):
//   $XDG_RUNTIME_DIR/sluice/ID/
//   /tmp/sluice-UID/ID/
//   $XDG_STATE_HOME/sluice/run/ID/
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "wire/joined.h"

namespace sluice::wire {

inline constexpr const char* kEndpoints[] = {"records", "live-in", "live-out", "control", "jobs"};

// Instances that the supervisor starts. Nobody else may say that he is one of them, whatever his
// epoch.
inline constexpr const char* kRunnerName = "runner";
inline constexpr const char* kProcesses[] = {"broker", "loader", "scheduler", kRunnerName};
bool is_process_of_session(std::string_view instance);
// Why whoever says so isn't let in.
inline constexpr const char* kNotOfSession = "not-of-session";
// Whether `process`, as the kernel gives it for a connection, is a child of the supervisor that is
// our parent, or is it.
bool started_by_supervisor(pid_t process);

struct SessionPaths {
  std::string id;
  std::string state;    // directory
  std::string runtime;  // directory
  // for people: why it isn't where it usually is; of a session that isn't made yet
  std::string note;

  std::string socket_path(std::string_view name) const { return runtime + "/" + std::string(name); }
  // Of a session on another machine that was joined; nullptr of all others.
  std::shared_ptr<const Joined> joined;
  // What a program's --session takes for it.
  const std::string& handle() const { return joined ? state : id; }
  // Where its socket of that name is connected to.
  Address address(std::string_view name) const;
  std::string endpoint(std::string_view name) const { return "ipc://" + socket_path(name); }
  std::string record_log() const { return state + "/records.log"; }
  std::string journal() const { return state + "/journal.log"; }
  std::string snapshot(std::uint32_t number) const {
    return state + "/snapshots/" + std::to_string(number);
  }
  std::string process_log(std::string_view program) const {
    return state + "/logs/" + std::string(program) + ".log";
  }

  std::string runtime_file() const { return state + "/runtime"; }

  // The paths of a session: as make() has written them down, whatever the environment is, else
  // computed from the environment; or, where an id is an absolute path, of the session that was
  // joined there (joined.h). Makes nothing. An id has only [a-z0-9-], at most 40 characters.
  // Error "app"/"no-runtime-directory": all places for sockets are somebody else's, or their paths
  // would be longer than 107 bytes.
  static Result<SessionPaths> of(std::string_view id);
  // Makes both directories (state with its parents), verifies the runtime one, and writes down
  // which it is.
  Status make() const;
  // Whether the session lives: its supervisor holds the lock. One on another machine does as far as
  // can be known here.
  bool lives() const;
  // Whether the session has ended, in order or not: nobody will listen at its sockets.
  bool over() const;
};

// A new id, sortable by time: "20261122-113755-042-3f9a" (milliseconds, then chance).
std::string new_session_id();
// Whether that can be the id of a session: 1 to 40 characters of [a-z0-9-].
bool is_session_id(std::string_view text);
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

// The socket pair between the supervisor and each of its processes, in lines. Process to
// supervisor: "ready", "start runner" (scheduler only), "ending" (scheduler: the session's end was
// asked for by control), "sync STORE" (scheduler: what was added to that store is to survive loss
// of power), "ended", "trouble TEXT" (trouble()). Supervisor to process: "end" (finish in order).
// End of file: the other side is gone; a process whose supervisor is gone ends at once.
class SupervisorLine {
 public:
  explicit SupervisorLine(int fd) : fd_(fd) {}
  int fd() const { return fd_.get(); }
  Status send(std::string_view line);
  // Says "trouble TEXT": what the process must do and can't, at each attempt. When that goes on the
  // session fails for this reason. The text may have several lines; one is made of them.
  Status trouble(std::string text);
  // The whole lines that have arrived; `closed` is set at end of file. Doesn't wait.
  std::vector<std::string> receive(bool& closed);

 private:
  UniqueFd fd_;
  std::string partial_;
};

}  // namespace sluice::wire
