// The one program with SQLite in it (scheduler/durations.h).
//
//   sluice-durations read FILE PROJECT...   writes the durations of these projects' jobs, packed,
//   to
//                                           standard output
//   sluice-durations write FILE             writes those that come by standard input into FILE
#include <cstdio>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/fd.h"
#include "scheduler/durations_store.h"

namespace {

using namespace sluice;
using namespace sluice::scheduler;

int failed(const Error& error) {
  std::fprintf(stderr, "sluice-durations: %s\n", error.str().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 2 ? argv[1] : "";
  if (verb == "read") {
    auto jobs = read_durations(argv[2], {argv + 3, argv + argc});
    if (!jobs) return failed(jobs.error());
    auto written = write_all(1, wire::encode(JobDurations{std::move(*jobs)}));
    return written ? 0 : failed(written.error());
  }
  if (verb == "write" && argc == 3) {
    std::string input;
    char buffer[1 << 16];
    for (ssize_t n = 0; (n = ::read(0, buffer, sizeof buffer)) > 0;)
      input.append(buffer, static_cast<std::size_t>(n));
    auto durations = wire::decode<JobDurations>(input);
    if (!durations) return failed(durations.error());
    auto written = write_durations(argv[2], durations->jobs);
    return written ? 0 : failed(written.error());
  }
  std::fputs("usage: sluice-durations read FILE PROJECT... | write FILE\n", stderr);
  return 2;
}
