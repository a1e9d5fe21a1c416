#include "elements/layout.h"

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::elements {

Layout layout_of(const Build& build) {
  Layout layout;
  for (const model::ArtifactRef& artifact : build.dependencies()) {
    if (!artifact.build) continue;
    bool configured = false;
    for (const auto& entry : build.data().body.dependency_configs) {
      if (entry.element != artifact.index) continue;
      configured = true;
      layout.locations[entry.config.get_string("location", "/")].push_back(artifact.index);
      const std::string variable = entry.config.get_string("digest-environment");
      if (!variable.empty()) layout.digest_environment[variable].push_back(artifact.index);
    }
    if (!configured) layout.locations["/"].push_back(artifact.index);
  }
  return layout;
}

Status stage_layout(Build& build, const Layout& layout) {
  for (const auto& [location, direct] : layout.locations) {
    Reporter::Activity activity(build.reporter(),
                                fmt::format("Staging dependencies at: {}", location));
    auto selection = TRY(runtime_closure(build.dependencies(), direct));
    CHECK(build.root().stage(selection, location));
    activity.success();
  }
  const auto root = layout.locations.find("/");
  if (root == layout.locations.end()) return {};
  Reporter::Activity activity(build.reporter(), "Integrating sandbox");
  auto selection = TRY(runtime_closure(build.dependencies(), root->second));
  CHECK(build.commands().integrate(selection));
  activity.success();
  return {};
}

void add_command(sandbox::ShellScript& script, Build& build, const std::string& raw) {
  const std::string command = sandbox::strip(raw);
  // An empty command, as "%{strip-binaries}" usually is, needs no run. One alone has the sandbox
  // run all the same, which shows whether there is a shell. Elsewhere scripts are BuildStream's,
  // which has them run.
  if (command.empty() && !script.empty() && !build.commands().runs_elsewhere()) return;
  script.add({{"sh", "-c", "-e", command + "\n"},
              build.commands().work_directory(),
              build.commands().command_environment(),
              command});
}

}  // namespace sluice::elements
