// sluice-remote REQUEST_FILE: moves artifacts and sources between the store and servers elsewhere,
// in a process of its own, because gRPC is in it. The request and the answer:
// wire/remote_protocol.h. With --serve it stays, as the helper of a runner that has a store of its
// own: wire/blob_helper.h.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "remote/blob_helper.h"
#include "remote/requests.h"
#include "wire/job_protocol.h"
#include "wire/messages.h"

namespace {

sluice::Result<sluice::remote::RemoteReply> run(const char* path) {
  auto bytes = sluice::read_file(path);
  if (!bytes) return sluice::fail("remote", "bad-request", bytes.error().message);
  auto request = sluice::wire::decode<sluice::remote::RemoteRequest>(*bytes);
  if (!request) return sluice::fail("remote", "bad-request", request.error().message);
  return sluice::remote::serve(*request, sluice::remote::connect);
}

// Standard input is a socket: requests come by it, and replies go.
int serve() {
  const auto send = [](const sluice::wire::HelperReply& reply) {
    if (!sluice::write_all(0, sluice::wire::frame(sluice::wire::encode(reply)))) ::_exit(0);
  };
  std::unique_ptr<sluice::remote::BlobHelper> helper;
  sluice::wire::FrameReader frames;
  std::string buffer(65536, '\0');
  for (;;) {
    const ssize_t n = ::read(0, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    // What is under way needn't be waited for: what is in the store is whole.
    if (n <= 0) ::_exit(0);
    frames.append({buffer.data(), static_cast<std::size_t>(n)});
    for (;;) {
      auto body = frames.next();
      if (!body) ::_exit(2);
      if (!*body) break;
      if (!helper) {
        auto open = sluice::wire::decode<sluice::wire::HelperOpen>(**body);
        auto opened =
            open ? sluice::remote::BlobHelper::open(*open, sluice::remote::connect_to, send)
                 : sluice::forward(open);
        if (!opened) {
          sluice::wire::HelperReply reply;
          reply.error = sluice::wire::ErrorBody::from(opened.error());
          send(reply);
          ::_exit(1);
        }
        helper = std::move(*opened);
        continue;
      }
      auto request = sluice::wire::decode<sluice::wire::HelperRequest>(**body);
      if (!request) ::_exit(2);
      helper->take(std::move(*request));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("sluice-remote " SLUICE_VERSION);
    return 0;
  }
  if (argc != 2) {
    std::fputs("usage: sluice-remote REQUEST_FILE\n       sluice-remote --serve\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  // What gRPC would write to standard error comes as an error or a warning.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  if (std::string_view(argv[1]) == "--serve") return serve();
  auto reply = run(argv[1]);
  const auto written =
      reply ? sluice::write_all(1, sluice::wire::encode(*reply))
            : sluice::write_all(1,
                                sluice::wire::encode(sluice::wire::ErrorBody::from(reply.error())));
  // gRPC's threads needn't be waited for: what is in the store is whole.
  ::_exit(reply && written ? 0 : 1);
}
