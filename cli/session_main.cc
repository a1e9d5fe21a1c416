// sluice-session: see supervisor.h.
#include <charconv>
#include <cstdio>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "cli/supervisor.h"
#include "wire/session.h"

int main(int argc, char** argv) {
  sluice::cli::SupervisorOptions options;
  bool fine = true;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--session") {
      options.session = value;
    } else if (name == "--project") {
      options.project = value;
    } else if (name == "--verb") {
      options.verb = value;
    } else if (name == "--attached") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), options.attached_fd);
      fine = fine && error == std::errc() && end == value.data() + value.size();
    } else {
      fine = false;
    }
  }
  if (!fine || options.session.empty()) {
    std::fputs(
        "usage: sluice-session --session ID [--project DIRECTORY] [--verb VERB] [--attached FD]\n"
        "Started by sluice; see its `session` commands.\n",
        stderr);
    return 2;
  }
  std::string log;
  if (auto paths = sluice::wire::SessionPaths::of(options.session)) {
    if (sluice::make_directories(paths->state + "/logs", 0700))
      log = paths->process_log("sluice-session");
  }
  sluice::start_process_log("sluice-session", log);
  return sluice::cli::supervise(options);
}
