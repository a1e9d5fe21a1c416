// sluice-apis: serves the Remote Execution API at a socket in a sandbox. What it reads and writes:
// wire/apis_protocol.h.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <unistd.h>

#include "base/fd.h"
#include "base/try.h"
#include "remote/apis_server.h"
#include "wire/job_protocol.h"
#include "wire/messages.h"

namespace {

using sluice::Result;
using sluice::wire::ApisRequest;

Result<ApisRequest> read_request() {
  sluice::wire::FrameReader frames;
  char buffer[65536];
  for (;;) {
    const auto body = TRY(frames.next());
    if (body) return sluice::wire::decode<ApisRequest>(*body);
    const ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return sluice::fail("server", "bad-request", "The request is not whole");
    frames.append({buffer, static_cast<std::size_t>(n)});
  }
}

sluice::Status run() {
  const auto request = TRY(read_request());
  const auto server = TRY(sluice::remote::start_apis_server(request));
  CHECK(sluice::write_all(1, "ready\n"));
  // Whoever started it holds the other end as long as there is somebody to serve.
  char byte;
  ssize_t n;
  do {
    n = ::read(0, &byte, 1);
  } while (n > 0 || (n < 0 && errno == EINTR));
  // Nobody is left who could wait for an answer.
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("sluice-apis " SLUICE_VERSION);
    return 0;
  }
  if (argc != 1) {
    std::fputs("usage: sluice-apis < REQUEST\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  const auto done = run();
  auto body = sluice::wire::ErrorBody::from(done.error());
  [[maybe_unused]] const auto written = sluice::write_all(1, sluice::wire::encode(body));
  ::_exit(1);
}
