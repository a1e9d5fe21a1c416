// sluice-store-check CACHEDIR: hashes every object, walks every ref. Says what is
// wrong on standard error and ends in one line on standard output.
#include <cstdlib>

#include <fmt/format.h>

#include "base/file.h"
#include "store/check.h"

int main(int argc, char** argv) {
  if (argc != 2 || argv[1][0] == '-') {
    fmt::print(stderr, "usage: sluice-store-check CACHEDIR\n");
    return 2;
  }
  char* absolute = ::realpath(argv[1], nullptr);
  if (absolute == nullptr || !sluice::path_exists(std::string(absolute) + "/cas/objects")) {
    fmt::print(stderr, "sluice-store-check: {} holds no store\n", argv[1]);
    std::free(absolute);
    return 2;
  }
  auto cas = sluice::store::Cas::open(absolute);
  std::free(absolute);
  auto report = cas ? sluice::store::verify_all(*cas)
                    : sluice::Result<sluice::store::CheckReport>(sluice::forward(cas));
  if (!report) {
    fmt::print(stderr, "sluice-store-check: {}\n", report.error().str());
    return 2;
  }
  for (const auto& what : report->corrupt) fmt::print(stderr, "corrupt: {}\n", what);
  for (const auto& what : report->incomplete) fmt::print(stderr, "incomplete: {}\n", what);
  for (const auto& what : report->derived) fmt::print(stderr, "damaged: {}\n", what);
  fmt::print("objects={} refs={} corrupt={} incomplete={}\n", report->objects, report->refs,
             report->corrupt.size(), report->incomplete.size());
  return report->good() ? 0 : 1;
}
