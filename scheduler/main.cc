#include <cstdio>

#include "base/log.h"
#include "scheduler/service.h"
#include "wire/session.h"

int main(int argc, char** argv) {
  auto options = sluice::wire::parse_service_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "sluice-scheduler: %s\n", options.error().str().c_str());
    return 2;
  }
  sluice::start_process_log("sluice-scheduler", options->paths.process_log("sluice-scheduler"));
  return sluice::scheduler::serve(*options);
}
