// `artifact checkout`: stages an artifact with its dependencies, integrates, and writes the result
// to a directory or a tar archive.
#include <fmt/format.h>

#include "base/try.h"
#include "cli/artifacts.h"
#include "cli/export.h"
#include "cli/staging.h"
#include "cli/tar.h"
#include "cli/workbench.h"
#include "cli/workspaces_file.h"

namespace sluice::cli {

namespace {

std::string default_location(const std::string& target) {
  const wire::LoadArguments here = load_arguments({});
  std::string location = here.what.directory + "/" + target;
  if (location.ends_with(".bst")) location.resize(location.size() - 4);
  return location;
}

// Stages it, pulled where it isn't cached, and writes it to its place.
Status export_artifact(Invocation& invocation, const CheckoutCommand& command,
                       const std::string& location, const std::string& compression, bool again) {
  auto targets =
      TRY(ArtifactTargets::resolve(invocation, {command.target}, command.deps, &command.remotes));
  if (!again) {
    CHECK(check_location(location, !command.tar.empty(), command.force));
  }
  const auto staging_failed = [](Error error) {
    // Trees that don't fit onto each other have no reason with BuildStream.
    if (error.domain == "virtual-fs") error.reason.clear();
    error.domain = "stream";
    error.message =
        fmt::format("Error while staging dependencies into a sandbox: '{}'", error.message);
    return tl::unexpected<Error>(std::move(error));
  };
  auto data = job_data(targets);
  if (!data) return staging_failed(std::move(data.error()));
  auto bench = TRY(Workbench::open(invocation.report, targets.cas(), std::move(*data)));
  if (auto staged = bench->stage(command.integrate); !staged)
    return staging_failed(std::move(staged.error()));
  auto root = TRY(bench->build().root().tree().store(targets.cas()));
  if (command.force) {
    const auto here = whereabouts(invocation, "");
    const std::string project = here ? here->project : std::string();
    CHECK(check_overwritten(invocation, targets.cas(), root, location, !command.tar.empty(),
                            project));
  }
  return command.tar.empty() ? export_directory(targets.cas(), root, location,
                                                command.force || again, command.hardlinks)
                             : export_tar(targets.cas(), root, location, compression, ".");
}

Status check_out(Invocation& invocation, CheckoutCommand command) {
  if (command.target.empty()) command.target = default_element(invocation);
  if (command.target.empty()) return fail("app", "", "Missing argument \"ELEMENT\".");
  std::string compression = command.compression;
  if (!command.tar.empty()) {
    auto inferred = TRY(compression_of(command.tar));
    if (!compression.empty() && !inferred.empty() && inferred != compression) {
      invocation.report.warning(
          "File extension and compression differ. File extension has been overridden by "
          "--compression");
    }
    if (compression.empty()) compression = inferred;
  }
  const std::string location = !command.tar.empty()         ? command.tar
                               : !command.directory.empty() ? command.directory
                                                            : default_location(command.target);
  auto done = export_artifact(invocation, command, location, compression, false);
  if (done || done.error().reason != "missing-blob" || location == "-") return done;
  // A damaged blob has been removed, so that its artifact isn't cached: it may be whole on another
  // machine. What was written before that was noticed is written again.
  invocation.report.warning(done.error().message);
  return export_artifact(invocation, command, location, compression, true);
}

}  // namespace

int run_checkout(Invocation& invocation, const CheckoutCommand& command) {
  auto done = check_out(invocation, command);
  if (!done && done.error().domain.empty()) return kFailure;  // told already
  return done ? kSuccess : failed(invocation, done.error());
}

}  // namespace sluice::cli
