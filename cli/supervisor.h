// The supervisor of one session: starts its processes on listening sockets that it made itself,
// starts again what dies, and ends everything in order.
//
// It knows nothing of builds and links no ZeroMQ: it is the process that must not die, so it does
// as little as possible. One thread, one poll() loop, no allocation-heavy work, no file but the
// session's own.
//
// Order of the end: loader and scheduler (which ends its jobs and says its last words), then
// runners, then the broker (which lets readers catch up), each with a deadline after which it is
// killed; then whatever descends from them.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::cli {

struct SupervisorOptions {
  std::string session;
  std::string project;  // directory, for session.json
  std::string verb;
  int attached_fd = -1;  // the starting command's end: the session ends when it closes
};

// Runs the session to its end; the program's exit status.
int supervise(const SupervisorOptions& options);

// When to start a process again after its n-th death in a row (from 1): at once, then 100 ms
// doubled up to 5 s. A process that lived for 10 s starts anew at 1.
Duration restart_delay(unsigned deaths);
// How many deaths in a row there are before the session is given up.
inline constexpr unsigned kMaxDeaths = 8;

}  // namespace sluice::cli
