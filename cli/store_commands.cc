// `store check`: everything in the cache of this machine.
#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "cli/artifacts.h"
#include "cli/commands.h"
#include "store/check.h"

namespace sluice::cli {

int run_store_check(Invocation& invocation, const StoreCheckCommand& command) {
  auto settings = user_settings(invocation.global);
  if (!settings) return failed(invocation, settings.error());
  if (!path_exists(settings->cachedir + "/cas/objects")) {
    return failed(
        invocation,
        {"stream", "no-store", fmt::format("There is no cache at {}", settings->cachedir), {}, {}});
  }
  auto cas = store::Cas::open(settings->cachedir);
  if (!cas) return failed(invocation, cas.error());
  const auto report = store::verify_all(*cas, command.repair);
  if (!report) return failed(invocation, report.error());
  std::string text;
  for (const auto& what : report->corrupt) text += fmt::format("damaged: {}\n", what);
  for (const auto& what : report->incomplete) text += fmt::format("incomplete: {}\n", what);
  for (const auto& what : report->derived) text += fmt::format("damaged copy: {}\n", what);
  text += fmt::format("{} objects, {} refs: {} damaged, {} incomplete, {} damaged copies",
                      report->objects, report->refs, report->corrupt.size(),
                      report->incomplete.size(), report->derived.size());
  if (command.repair) text += fmt::format("; {} removed", report->removed);
  if (auto written = write_all(1, text + "\n"); !written)
    return failed(invocation, written.error());
  return report->good() || (command.repair && report->left == 0) ? kSuccess : kFailure;
}

}  // namespace sluice::cli
