// sluice-loader: loads projects, as a process of a session or for one request.
#include <csignal>
#include <cstdio>
#include <string_view>

#include <malloc.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "loader/service.h"
#include "loader/snapshot_request.h"
#include "loader/yaml.h"
#include "wire/session.h"

namespace {

int one_shot() {
  const auto bytes = sluice::read_all(STDIN_FILENO, std::size_t{16} << 20);
  auto request = bytes ? sluice::wire::decode<sluice::wire::LoadArguments>(*bytes)
                       : sluice::Result<sluice::wire::LoadArguments>(
                             tl::unexpected<sluice::Error>(bytes.error()));
  if (!request) {
    std::fprintf(stderr, "sluice-loader: %s\n", request.error().str().c_str());
    return 2;
  }
  return sluice::write_all(STDOUT_FILENO,
                           sluice::wire::encode(sluice::loader::make_snapshot(*request)))
             ? 0
             : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // Pieces of this size go back to the system when they are freed, since a large project needs the
  // memory elsewhere next.
  ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(sluice::loader::kTreesTogether / 2));
  if (argc == 2 && std::string_view(argv[1]) == "--one-shot") return one_shot();
  auto options = sluice::wire::parse_service_options(argc, argv);
  if (!options || options->supervisor_fd < 0) {
    std::fprintf(stderr, "%s\n",
                 options ? "--supervisor is needed" : options.error().str().c_str());
    return 2;
  }
  sluice::start_process_log("sluice-loader", options->paths.process_log("sluice-loader"));
  if (auto served = sluice::loader::serve(*options); !served) {
    sluice::log::error("{}", served.error().str());
    return 1;
  }
  return 0;
}
