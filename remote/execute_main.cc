// sluice-execute: runs one command on another machine, in a process of its own, because gRPC is in
// it. What it reads and writes: wire/execute_protocol.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>

#include <poll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/threads.h"
#include "base/try.h"
#include "remote/execute.h"
#include "wire/job_protocol.h"

namespace {

using sluice::Result;
using sluice::remote::ActionCacheService;
using sluice::remote::ExecutionService;
using sluice::remote::Peer;
using sluice::wire::ExecuteEvent;
using sluice::wire::ExecuteRequest;

Result<ExecuteRequest> read_request() {
  sluice::wire::FrameReader frames;
  char buffer[65536];
  for (;;) {
    const auto body = TRY(frames.next());
    if (body) return sluice::wire::decode<ExecuteRequest>(*body);
    const ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return sluice::fail("remote", "bad-request", "The request is not whole");
    frames.append({buffer, static_cast<std::size_t>(n)});
  }
}

// Writes an event whole; what nobody reads is nobody's loss.
void tell(const ExecuteEvent& event) {
  static std::mutex lock;
  const std::lock_guard guard(lock);
  ExecuteEvent packed = event;
  [[maybe_unused]] const auto written =
      sluice::write_all(1, sluice::wire::frame(sluice::wire::encode(packed)));
}

// Cancels what runs when standard input ends, and ends the process.
void watch_input(ExecutionService& execution) {
  for (;;) {
    char byte;
    const ssize_t n = ::read(0, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) continue;
    execution.cancel();
    ExecuteEvent event;
    event.error = sluice::wire::ErrorBody::from({"job", "killed", "The job was killed", {}, {}});
    tell(event);
    ::_exit(1);
  }
}

Result<sluice::wire::ExecuteReply> run() {
  const auto request = TRY(read_request());
  auto cas = TRY(sluice::store::Cas::open(request.cachedir));
  auto storage = TRY(sluice::remote::connect(request.storage));
  auto execution = TRY(sluice::remote::connect_execution(request.execution));
  std::unique_ptr<ActionCacheService> action_cache;
  if (request.action_cache)
    action_cache = TRY(sluice::remote::connect_action_cache(*request.action_cache));
  auto watching = TRY(sluice::start_thread([&] { watch_input(*execution); }));
  // The thread ends with the process only, since it waits for the input's end.
  watching.detach();
  auto reply =
      sluice::remote::execute(cas, request, {*storage, *execution, action_cache.get()}, tell);
  ExecuteEvent event;
  if (reply) {
    event.reply = std::move(*reply);
  } else {
    event.error = sluice::wire::ErrorBody::from(reply.error());
  }
  tell(event);
  // What the thread refers to is not taken away from it.
  ::_exit(event.reply ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("sluice-execute " SLUICE_VERSION);
    return 0;
  }
  if (argc != 1) {
    std::fputs("usage: sluice-execute < REQUEST\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  // What gRPC would write to standard error comes as an error.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  auto reply = run();
  ExecuteEvent event;
  event.error = sluice::wire::ErrorBody::from(reply.error());
  tell(event);
  ::_exit(1);
}
