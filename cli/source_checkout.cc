// `source checkout`: the sources of elements, each element's in a directory of its own.
#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/build_scripts.h"
#include "cli/commands.h"
#include "cli/export.h"
#include "cli/sources.h"
#include "cli/workbench.h"
#include "cli/workspaces_file.h"
#include "elements/plugin_element.h"
#include "model/names.h"
#include "store/tree.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

// The directory of an element; behind junctions it is below the junctions' names.
std::string directory_of(const LoadedProject& loaded, const model::Element& element) {
  std::string junction = loaded.snapshot.projects[element.project].junction;
  std::string path;
  for (std::size_t colon; !junction.empty();
       junction = colon == std::string::npos ? "" : junction.substr(colon + 1)) {
    colon = junction.find(':');
    path += model::normal_name(junction.substr(0, colon)) + "/";
  }
  return path + model::normal_name(element.name);
}

// What builds an element, said by its plugin where it has one.
Result<std::optional<std::string>> commands_of(Invocation& invocation, Sources& sources,
                                               const model::Element& element,
                                               const model::ElementBody& body) {
  if (body.plugin.file.empty()) return build_commands_of(element, body);
  elements::JobData data;
  data.settings = sources.loaded().snapshot.settings;
  data.body = body;
  data.element.name = element.name;
  data.element.full_name = element.full_name;
  data.element.kind = element.kind;
  data.element.project = sources.loaded().snapshot.projects[element.project].name;
  data.element.fatal_warnings = sources.loaded().snapshot.projects[element.project].fatal_warnings;
  data.job.keys = element.keys;
  auto bench = TRY(Workbench::open(invocation.report, sources.cas(), std::move(data)));
  auto script = elements::script_by_plugin(bench->build());
  CHECK(bench->told({}));
  return script;
}

Status add_build_scripts(Invocation& invocation, Sources& sources, store::Tree& tree) {
  const auto put = [&](const std::string& name, const std::string& script) -> Status {
    auto blob = TRY(sources.cas().add(script));
    return tree.put_file(name, blob, true);
  };
  std::vector<std::string> names;
  for (const auto index : sources.selection()) {
    const model::Element& element = sources.element(index);
    auto body = TRY(wire::unpack_body(element.body));
    const std::string directory = directory_of(sources.loaded(), element);
    const auto commands = TRY(commands_of(invocation, sources, element, body));
    if (!commands) continue;
    const auto script = element_build_script(directory, element, body, *commands);
    // Elements of other projects have their junctions in their names.
    std::string name = "build-" + directory;
    std::replace(name.begin(), name.end(), '/', '-');
    CHECK(put(name, script));
    names.push_back(std::move(name));
  }
  return put("build.sh", master_build_script(names));
}

Status check_out(Invocation& invocation, const SourceCheckoutCommand& command) {
  const std::string target = command.target.empty() ? default_element(invocation) : command.target;
  if (target.empty()) return fail("app", "", "Missing argument \"ELEMENT\".");
  const bool tar = !command.tar.empty();
  const std::string location = tar ? command.tar : command.directory;
  CHECK(check_location(location, tar, command.force));
  auto sources = TRY(Sources::get(
      invocation, {{target}, command.except, command.deps, false, true, true, command.remotes}));
  const auto writing_failed = [](Error error) {
    error.domain = "stream";
    error.message = fmt::format("Error while writing sources: '{}'", error.message);
    return tl::unexpected<Error>(std::move(error));
  };
  store::Tree tree(sources.cas());
  for (const auto index : sources.selection()) {
    const model::Element& element = sources.element(index);
    if (!element.has_sources) continue;
    const std::string directory = directory_of(sources.loaded(), element);
    auto root = sources.root(index);
    if (!root) return writing_failed(std::move(root.error()));
    if (auto made = tree.make_directory(directory); !made)
      return writing_failed(std::move(made.error()));
    if (auto merged = tree.merge(*root, directory); !merged)
      return writing_failed(std::move(merged.error()));
  }
  if (command.build_scripts) {
    if (auto added = add_build_scripts(invocation, sources, tree); !added)
      return writing_failed(std::move(added.error()));
  }
  auto root = tree.store(sources.cas());
  if (!root) return writing_failed(std::move(root.error()));
  if (command.force) {
    const std::string& project = sources.loaded().snapshot.projects.front().directory;
    CHECK(check_overwritten(invocation, sources.cas(), *root, location, tar, project));
  }
  auto exported = tar ? export_tar(sources.cas(), *root, location, command.compression, "")
                      : export_directory(sources.cas(), *root, location, command.force, false);
  if (!exported) return writing_failed(std::move(exported.error()));
  invocation.report.info(fmt::format("Checked out sources to '{}'", location));
  return {};
}

}  // namespace

int run_source_checkout(Invocation& invocation, const SourceCheckoutCommand& command) {
  auto done = check_out(invocation, command);
  if (done) return kSuccess;
  return done.error().domain.empty() ? kFailure : failed(invocation, done.error());
}

}  // namespace sluice::cli
