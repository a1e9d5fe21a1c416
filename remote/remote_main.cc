// sluice-remote REQUEST_FILE: moves artifacts and sources between the store and servers elsewhere,
// in a process of its own, because gRPC is in it. The request and the answer: protocol.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "remote/requests.h"
#include "wire/messages.h"

namespace {

sluice::Result<sluice::remote::RemoteReply> run(const char* path) {
  auto bytes = sluice::read_file(path);
  if (!bytes) return sluice::fail("remote", "bad-request", bytes.error().message);
  auto request = sluice::wire::decode<sluice::remote::RemoteRequest>(*bytes);
  if (!request) return sluice::fail("remote", "bad-request", request.error().message);
  return sluice::remote::serve(*request, sluice::remote::connect);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("sluice-remote " SLUICE_VERSION);
    return 0;
  }
  if (argc != 2) {
    std::fputs("usage: sluice-remote REQUEST_FILE\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  // What gRPC would write to standard error comes as an error or a warning.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  auto reply = run(argv[1]);
  const auto written =
      reply ? sluice::write_all(1, sluice::wire::encode(*reply))
            : sluice::write_all(1,
                                sluice::wire::encode(sluice::wire::ErrorBody::from(reply.error())));
  // gRPC's threads needn't be waited for: what is in the store is whole.
  ::_exit(reply && written ? 0 : 1);
}
