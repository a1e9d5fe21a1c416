// `sbom`: writes the bill of materials (sbom.h) of elements.
#include <map>
#include <memory>

#include "base/fd.h"
#include "base/file.h"
#include "cli/command_surroundings.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/sbom.h"
#include "sources/plugin/plugin.h"

namespace sluice::cli {

int run_sbom(Invocation& invocation, const SbomCommand& command) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = command.targets;
  arguments.what.deps = command.deps;
  arguments.wanted.bodies = true;
  auto loaded = load_with_subprojects(invocation, arguments);
  if (!loaded) return kFailure;
  const model::Snapshot& snapshot = loaded->snapshot;
  for (const auto& warning : snapshot.warnings) invocation.report.warning(warning);
  // Where plugins in Python are asked, for all elements of a project.
  std::map<std::size_t, std::unique_ptr<CommandSurroundings>> surroundings;
  const auto ask = [&](const model::Element& element, const model::Source& source) {
    auto& of_project = surroundings[element.project];
    if (of_project == nullptr)
      of_project = std::make_unique<CommandSurroundings>(
          &invocation.report, snapshot.settings, snapshot.projects[element.project].fatal_warnings,
          nullptr);
    return sources::plugin::info(source, *of_project);
  };
  const auto bom =
      collect_bom(*loaded, ask, [&](const std::string& text) { invocation.report.warning(text); });
  if (!bom) return failed(invocation, bom.error());
  const std::string text = command.format == "spdx" ? spdx_text(*bom) : cyclonedx_text(*bom);
  const Status written = command.output.empty() || command.output == "-"
                             ? print(text)
                             : write_file_atomic(command.output, text);
  return written ? kSuccess : failed(invocation, written.error());
}

}  // namespace sluice::cli
