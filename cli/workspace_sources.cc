#include "cli/workspace_sources.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "cli/command_surroundings.h"
#include "cli/export.h"
#include "sources/work.h"
#include "store/sources.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace fs = std::filesystem;

namespace {

// The directory of a workspace that a source goes into, which is made; none when its name, or a
// symbolic link that a source before it has staged, leads out of the workspace.
std::optional<std::string> place_of(const model::Source& source, const std::string& workspace) {
  std::error_code error;
  const std::string top = fs::canonical(workspace, error).native() + '/';
  fs::path at = workspace;
  for (const auto& part : fs::path(source.directory).relative_path().lexically_normal()) {
    at /= part;
    if (part.empty() || part == ".") continue;
    if (!fs::exists(fs::symlink_status(at, error))) fs::create_directory(at, error);
    const fs::path real = fs::canonical(at, error);
    if (error || !(real.native() + '/').starts_with(top)) return std::nullopt;
  }
  return at.lexically_normal().native();
}

}  // namespace

Result<bool> sets_up_workspaces(Sources& sources, model::ElementIndex element) {
  auto body = TRY(wire::unpack_body(sources.element(element).body));
  return std::any_of(body.sources.begin(), body.sources.end(), [](const model::Source& source) {
    const sources::WorkRow* work = sources::find_work(source);
    return work != nullptr && work->init_workspace != nullptr;
  });
}

Status set_up_workspace(Invocation& invocation, Sources& sources, model::ElementIndex index,
                        const std::string& directory) {
  const model::Element& element = sources.element(index);
  auto body = TRY(wire::unpack_body(element.body));
  const model::Snapshot& snapshot = sources.loaded().snapshot;
  CommandSurroundings surroundings(&invocation.report, snapshot.settings,
                                   snapshot.projects[element.project].fatal_warnings,
                                   &sources.cas());
  const store::SourceRefs refs(sources.cas());
  CHECK(make_directories(directory));
  for (const model::Source& source : body.sources) {
    const sources::WorkRow* work = sources::find_work(source);
    if (work == nullptr) {
      return sources::source_error(source, "unsupported-source",
                                   fmt::format("{}Sources of kind '{}' can't be fetched",
                                               sources::where(source), source.kind));
    }
    const auto place = place_of(source, directory);
    if (!place) {
      return sources::source_error(source, "bad-directory",
                                   fmt::format("{}The directory '{}' leads out of the workspace",
                                               sources::where(source), source.directory));
    }
    surroundings.previous_is(directory);
    if (work->init_workspace != nullptr) {
      CHECK(work->init_workspace(source, surroundings, *place));
      continue;
    }
    if (work->change != nullptr) {
      if (work->fetch != nullptr) {
        CHECK(work->fetch(source, surroundings));
      }
      CHECK(work->change(source, surroundings, *place));
      continue;
    }
    auto root = TRY(refs.lookup_source(source.kind, source.key));
    if (!root) {
      if (work->fetch != nullptr) {
        CHECK(work->fetch(source, surroundings));
      }
      root = TRY(work->stage(source, surroundings));
    }
    CHECK(export_directory(sources.cas(), *root, *place, true, false));
  }
  return {};
}

}  // namespace sluice::cli
