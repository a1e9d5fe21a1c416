#include "elements/kinds.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/collect_manifest.h"
#include "elements/compose.h"
#include "elements/filter.h"
#include "elements/flatpak.h"
#include "elements/initial_scripts.h"
#include "elements/layout.h"
#include "elements/plugin_element.h"

namespace sluice::elements {

namespace {

constexpr const char* kCommandSteps[] = {"configure-commands", "build-commands", "install-commands",
                                         "strip-commands"};

// BuildStream's marker of a configured workspace, in the directory that the commands run in.
constexpr const char* kPreparedMarker = ".bst-prepared";

// ---- manual, autotools, cmake, make, meson ----------------------------------

Status stage_commands(Build& build) {
  const std::string build_root = build.data().directory_variable("build-root");
  const std::string install_root = build.data().directory_variable("install-root");
  build.commands().mark_directory(build_root);
  build.commands().mark_directory(install_root);
  const std::string subdirectory = build.data().variable("command-subdir");
  build.commands().set_work_directory(subdirectory.empty() ? build_root
                                      : subdirectory.front() == '/'
                                          ? subdirectory
                                          : build_root + "/" + subdirectory);
  const Layout layout = layout_of(build);
  for (const auto& [variable, direct] : layout.digest_environment) {
    Reporter::Activity activity(
        build.reporter(), fmt::format("Staging dependencies for '{}' in subsandbox", variable));
    auto selection = TRY(runtime_closure(build.dependencies(), direct));
    auto digest = TRY(build.root().subsandbox(selection));
    const std::string value = fmt::format("{}/{}", digest.hash, digest.size);
    auto& environment = build.commands().environment();
    const auto known =
        std::find_if(environment.begin(), environment.end(),
                     [name = variable](const auto& entry) { return entry.first == name; });
    if (known != environment.end()) {
      known->second = value;
    } else {
      environment.emplace_back(variable, value);
    }
    activity.success();
  }
  build.commands().set_configured();
  build.commands().show_environment();
  CHECK(stage_layout(build, layout));
  return build.root().stage_sources(build_root);
}

Result<std::string> assemble_commands(Build& build) {
  sandbox::ShellScript script;
  // An element that is built again in a workspace is configured once.
  bool configured = false;
  if (build.data().workspaced() &&
      !build.data().body.config.get_strings("configure-commands").empty()) {
    auto marker = TRY(build.root().tree().find(build.data().directory_variable("build-root") + "/" +
                                               kPreparedMarker));
    configured = marker.has_value();
  }
  for (const char* step : kCommandSteps) {
    const bool configures = step == kCommandSteps[0];
    if (configures && configured) continue;
    for (const std::string& command : build.data().body.config.get_strings(step))
      add_command(script, build, command);
    if (configures && build.data().workspaced()) {
      script.add({{"sh", "-c", fmt::format(": > {}", kPreparedMarker)},
                  build.commands().work_directory(),
                  build.commands().command_environment(),
                  ""});
    }
  }
  build.commands().clean_build_root();
  CHECK(build.commands().run(script, true));
  return build.data().directory_variable("install-root");
}

// ---- script -----------------------------------------------------------------

Status stage_script(Build& build) {
  build.commands().set_work_directory(build.data().directory_variable("cwd", "/"));
  const std::string install_root = build.data().directory_variable("install-root", "/");
  build.commands().mark_directory(install_root);
  build.commands().set_configured();
  build.commands().show_environment();
  const Layout layout = layout_of(build);
  if (layout.locations.empty()) {
    // Without a dependency BuildStream stages nothing, and says so.
    Reporter::Activity staging(build.reporter(), "Staging dependencies");
    staging.success();
  } else if (auto staged = stage_layout(build, layout); !staged) {
    return staged;
  }
  return build.root().tree().make_directory(install_root);
}

Result<std::string> assemble_script(Build& build) {
  const std::string install_root = build.data().directory_variable("install-root", "/");
  build.artifact().collect_on_failure(install_root);
  sandbox::ShellScript script;
  for (const std::string& command : build.data().body.config.get_strings("commands"))
    add_command(script, build, command);
  build.commands().clean_build_root();
  CHECK(build.commands().run(script, truth(build.data().body.config, "root-read-only", false)));
  return install_root;
}

// ---- import -----------------------------------------------------------------

Status stage_nothing(Build& build) {
  build.commands().show_environment();
  return {};
}

std::string trim_slashes(std::string_view text) {
  while (!text.empty() && text.front() == '/') text.remove_prefix(1);
  while (!text.empty() && text.back() == '/') text.remove_suffix(1);
  return std::string(text);
}

Result<std::string> assemble_import(Build& build) {
  const auto& config = build.data().body.config;
  CHECK(build.root().stage_sources("/input"));
  const std::string source = trim_slashes(config.get_string("source", "/"));
  const std::string target = trim_slashes(config.get_string("target", "/"));
  store::Tree& tree = build.root().tree();
  const auto there = [&](const std::string& directory) -> Status {
    CHECK(tree.names(directory));
    return {};
  };
  auto input = store::walk_path("/input", source, there);
  if (!input) {
    if (input.error().domain != "virtual-fs") return forward(input);
    // To BuildStream this is no failure of the element, and nothing is cached.
    return fail("virtual-fs", "directory-not-found",
                fmt::format("The sources have no directory '{}' to import: {}", source,
                            input.error().message));
  }
  CHECK(tree.make_directory("/output"));
  const auto make = [&](const std::string& directory) { return tree.make_directory(directory); };
  auto output = store::walk_path("/output", target, make);
  if (!output) {
    if (output.error().domain != "virtual-fs") return forward(output);
    return fail("virtual-fs", "not-a-directory", output.error().message);
  }
  auto names = TRY(tree.names(*input));
  if (names.empty()) {
    return fail(
        "element", "",
        fmt::format("No files were found inside directory '{}'", config.get_string("source", "/")));
  }
  auto files = TRY(tree.store_directory(build.cas(), *input));
  CHECK(tree.merge(files, *output));
  return "/output";
}

// ---- stack ------------------------------------------------------------------

Result<std::string> assemble_stack(Build& build) {
  CHECK(build.root().tree().make_directory("/output"));
  return "/output";
}

// ---- compose ----------------------------------------------------------------

Status stage_compose(Build& build) {
  build.commands().show_environment();
  Reporter::Activity activity(build.reporter(), "Staging dependencies");
  CHECK(build.root().stage(everything(build.dependencies()), "/"));
  activity.success();
  return {};
}

constexpr Kind kKinds[] = {
    {"autotools", stage_commands, assemble_commands},
    {"cmake", stage_commands, assemble_commands},
    {"collect_initial_scripts", stage_nothing, assemble_initial_scripts},
    {"collect_manifest", stage_nothing, assemble_collect_manifest},
    {"collect_manifest/2.0", stage_nothing, assemble_collect_manifest_2_0},
    {"flatpak_image", stage_flatpak_image, assemble_flatpak_image},
    {"flatpak_image/2", stage_flatpak_image_2, assemble_flatpak_image_2},
    {"flatpak_repo", stage_flatpak_repo, assemble_flatpak_repo},
    {"compose", stage_compose, assemble_compose},
    {"filter", stage_filter, assemble_filter},
    {"import", stage_nothing, assemble_import},
    {"make", stage_commands, assemble_commands},
    {"manual", stage_commands, assemble_commands},
    {"meson", stage_commands, assemble_commands},
    {"script", stage_script, assemble_script},
    {"stack", stage_nothing, assemble_stack},
};

}  // namespace

const Kind* find_kind(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

const Kind* kind_of(const JobData& data) {
  static constexpr Kind kPlugin{"", stage_by_plugin, assemble_by_plugin};
  if (!data.body.plugin.file.empty()) return &kPlugin;
  return find_kind(data.body.builds_as.empty() ? data.element.kind : data.body.builds_as);
}

std::vector<std::string_view> kind_names() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  return names;
}

bool is_element_failure(const Error& error) {
  if (error.domain == "element") return true;
  return error.domain == "sandbox" &&
         (error.reason == "command-failed" || error.reason == "missing-command");
}

}  // namespace sluice::elements
