// sluice-broker: the record log, the fan-out of events and the routing of control of one session.
// Started by sluice-session.
#include <csignal>
#include <cstdio>

#include <sys/resource.h>

#include "base/log.h"
#include "broker/service.h"
#include "wire/session.h"

namespace {

// A failed write is an error that is handled, not a signal that kills: peers that are gone, and a
// log at its file size limit.
void prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // libzmq's listener gives up for good when it runs out of descriptors.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto options = sluice::wire::parse_service_options(argc, argv);
  if (!options || options->supervisor_fd < 0) {
    std::fprintf(stderr, "%s\n",
                 options ? "--supervisor is needed" : options.error().str().c_str());
    return 2;
  }
  prepare_process();
  sluice::start_process_log("sluice-broker", options->paths.process_log("sluice-broker"));
  if (auto served = sluice::broker::serve(std::move(*options)); !served) {
    sluice::log::error("{}", served.error().str());
    std::fprintf(stderr, "sluice-broker: %s\n", served.error().str().c_str());
    return 1;
  }
  return 0;
}
