// `workspace open | close | reset | list`: directories that take the place of elements' sources.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/export.h"
#include "cli/load.h"
#include "cli/project_files.h"
#include "cli/replacement.h"
#include "cli/sources.h"
#include "cli/workspace_sources.h"
#include "cli/workspaces_file.h"
#include "yaml/dump.h"

namespace sluice::cli {

namespace {

constexpr const char* kUnable = "Unable to locate workspaces";

tl::unexpected<Error> stream_error(std::string message, std::string reason = {},
                                   std::string detail = {}) {
  return fail("stream", std::move(reason), std::move(message), {}, std::move(detail));
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, "\n"));
}

std::string absolute(const std::string& path) { return normalize(join(current_directory(), path)); }

Status close_one(Invocation& invocation, WorkspacesFile& workspaces, const std::string& element,
                 bool remove_directory) {
  const WorkspacesFile::Workspace* workspace = workspaces.find(element);
  if (workspace == nullptr) return stream_error("Workspace does not exist", "", element);
  const std::string directory = workspaces.directory_of(*workspace);
  if (remove_directory) {
    if (!path_exists(directory))
      return stream_error(fmt::format("Could not remove  '{}': it does not exist", directory));
    if (auto removed = remove_tree(directory); !removed) {
      return stream_error(
          fmt::format("Could not remove  '{}': {}", directory, removed.error().message));
    }
  }
  CHECK(workspaces.remove(element));
  invocation.report.info(fmt::format("Closed workspace for {}", element));
  return {};
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// An element, and the directory that becomes its workspace.
struct Opening {
  model::ElementIndex index = 0;
  std::string directory;
  std::string before;  // where its workspace is that gives way; "": it has none
};

// Where a path leads, links followed.
std::string real(const std::string& path) {
  std::error_code error;
  const std::string found = std::filesystem::weakly_canonical(path, error).string();
  return error ? path : found;
}

bool within(const std::string& path, const std::string& directory) {
  const std::string inner = real(path), outer = real(directory);
  return inner == outer || inner.starts_with(outer + "/");
}

// Finds out everything that can be found out before anything changes.
Result<std::vector<Opening>> plan(Invocation& invocation, Sources& sources,
                                  WorkspacesFile& workspaces, const WorkspaceOpenCommand& command) {
  std::vector<Opening> openings;
  const model::Snapshot& snapshot = sources.loaded().snapshot;
  const std::string place = absolute(snapshot.settings.workspacedir);
  for (const auto index : sources.selection()) {
    const model::Element& element = sources.element(index);
    if (!element.has_sources) {
      std::vector<std::string> needed;
      for (const auto& dependency : element.dependencies) {
        if (dependency.build) needed.push_back(sources.element(dependency.element).name);
      }
      if (needed.empty())
        return stream_error(fmt::format("The element {}  has no sources", element.name));
      return stream_error(
          fmt::format("The element {} has no sources", element.name), "",
          "Try opening a workspace on one of its dependencies instead:\n" + joined(needed));
    }
    std::string before;
    if (const auto* present = workspaces.find(element.full_name)) {
      before = workspaces.directory_of(*present);
      if (!command.force) {
        return stream_error(fmt::format("Element '{}' already has an open workspace defined at: {}",
                                        element.name, before));
      }
      if (!command.no_checkout) {
        invocation.report.warning(fmt::format(
            "Replacing existing workspace for element '{}' defined at: {}", element.name, before));
        if (!path_exists(before))
          return stream_error(fmt::format("Could not remove  '{}': it does not exist", before));
      }
    }
    std::string name = element.name;
    if (name.ends_with(".bst")) name.resize(name.size() - 4);
    openings.push_back(
        {index,
         command.directory.empty() ? normalize(place + "/" + name) : absolute(command.directory),
         std::move(before)});
  }
  if (!command.directory.empty() && openings.size() != 1) {
    return stream_error("Exactly one element can be given if --directory is used",
                        "directory-with-multiple-elements");
  }
  std::optional<ProjectFiles> files;
  const auto may_remove = [&](const std::string& directory,
                              const std::string& workspace_of) -> Status {
    if (!has_entries(directory)) return {};
    if (!files) files = ProjectFiles::of(invocation, snapshot.projects.front().directory);
    return files->may_remove(directory, workspace_of);
  };
  for (const Opening& opening : openings) {
    const model::Element& element = sources.element(opening.index);
    if (!opening.before.empty() && !command.no_checkout) {
      if (real(opening.before) != real(opening.directory) &&
          within(opening.directory, opening.before)) {
        return stream_error(
            fmt::format(
                "For element '{}', Directory path lies in the workspace that is replaced: {}",
                element.name, opening.directory),
            "bad-directory");
      }
      CHECK(may_remove(opening.before, element.full_name));
    }
    if (!path_exists(opening.directory)) continue;
    if (!is_directory(opening.directory)) {
      return stream_error(fmt::format("For element '{}', Directory path is not a directory: {}",
                                      element.name, opening.directory),
                          "bad-directory");
    }
    if (command.no_checkout || !has_entries(opening.directory)) continue;
    if (!command.force) {
      return stream_error(fmt::format("For element '{}', Directory path is not empty: {}",
                                      element.name, opening.directory),
                          "bad-directory");
    }
    if (real(opening.directory) == real(opening.before)) continue;
    CHECK(may_remove(opening.directory, ""));
  }
  return openings;
}

tl::unexpected<Error> not_made(const Error& error, Sources& sources,
                               const std::vector<Opening>& openings, std::size_t at) {
  std::string rest;
  for (std::size_t i = at + 1; i < openings.size(); ++i)
    rest += " " + sources.element(openings[i].index).name;
  return stream_error(fmt::format("Failed to create workspace directory: {}", error.message),
                      "workspace-directory-failure",
                      rest.empty() ? "" : "Did not try to create workspaces for" + rest);
}

// Opens one workspace; nothing of it is seen when that fails.
Status open_one(Invocation& invocation, Sources& sources, WorkspacesFile& workspaces,
                const Opening& opening, bool no_checkout,
                const std::function<tl::unexpected<Error>(const Error&)>& not_made) {
  const model::Element& element = sources.element(opening.index);
  const auto created = [&] {
    invocation.report.info(fmt::format("Created a workspace for element {}", element.full_name));
  };
  if (no_checkout) {
    if (auto made = make_directories(opening.directory); !made) return not_made(made.error());
    if (!opening.before.empty()) {
      CHECK(close_one(invocation, workspaces, element.full_name, false));
    }
    CHECK(workspaces.add(element.full_name, opening.directory));
    created();
    return {};
  }
  auto replacement = Replacement::of(opening.directory);
  if (!replacement) return not_made(replacement.error());
  auto own = TRY(sets_up_workspaces(sources, opening.index));
  if (own) {
    CHECK(set_up_workspace(invocation, sources, opening.index, replacement->staged()));
  } else {
    auto root = TRY(sources.root(opening.index));
    CHECK(export_directory(sources.cas(), root, replacement->staged(), true, false));
  }
  if (path_exists(replacement->staged() + "/.bstproject.yaml")) {
    invocation.report.warning(".bstproject.yaml was staged from this element's sources");
  }
  CHECK(replacement->swap());
  CHECK(workspaces.add(element.full_name, opening.directory));
  const auto removed = [&](Status status) {
    if (!status)
      invocation.report.warning(
          fmt::format("What was replaced is not all removed: {}", status.error().message));
  };
  removed(replacement->finish());
  if (!opening.before.empty() && !within(opening.before, opening.directory))
    removed(remove_tree(opening.before));
  created();
  return {};
}

Status open(Invocation& invocation, const WorkspaceOpenCommand& command) {
  // What is open already doesn't hide the sources that are in the project.
  auto sources = TRY(Sources::get(
      invocation,
      {command.elements, {}, "redirect", true, !command.no_checkout, true, command.remotes}));
  const std::string& project = sources.loaded().snapshot.projects.front().directory;
  // The file of workspaces is locked from here on, and was not while something was fetched.
  CHECK(make_directories(project + "/.bst2"));
  auto workspaces = TRY(WorkspacesFile::open(project));
  auto openings = TRY(plan(invocation, sources, workspaces, command));
  for (std::size_t i = 0; i < openings.size(); ++i) {
    const auto failed_here = [&](const Error& error) {
      return not_made(error, sources, openings, i);
    };
    CHECK(open_one(invocation, sources, workspaces, openings[i], command.no_checkout, failed_here));
  }
  return {};
}

// A filter's workspace is that of what it filters. Names that are no elements any more stay.
Result<std::vector<std::string>> redirected(Invocation& invocation,
                                            const std::vector<std::string>& names,
                                            WorkspacesFile& workspaces, bool full) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    std::string element = name;
    if (full || workspaces.find(name) == nullptr) {
      wire::LoadArguments arguments = load_arguments(invocation.global);
      arguments.what.targets = {name};
      arguments.what.deps = "redirect";
      arguments.wanted.bodies = false;
      auto loaded = load_once(arguments);
      if (loaded && !loaded->selection.empty()) {
        const model::Element& found = loaded->snapshot.elements[loaded->selection.front()];
        element = found.full_name;
      } else if (!loaded && (full || loaded.error().reason != "missing-file")) {
        return forward(loaded);
      }
    }
    if (std::find(out.begin(), out.end(), element) == out.end()) out.push_back(element);
  }
  return out;
}

Status check_open(const std::vector<std::string>& names, WorkspacesFile& workspaces,
                  std::string_view domain) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (workspaces.find(name) == nullptr) missing.push_back(name);
  }
  if (missing.empty()) return {};
  return fail(std::string(domain), "", "Workspace does not exist", {}, joined(missing));
}

// Whether the directories of all these workspaces may go, asked before the first one does.
Status may_go(Invocation& invocation, const std::string& project, WorkspacesFile& workspaces,
              const std::vector<std::string>& elements) {
  const ProjectFiles files = ProjectFiles::of(invocation, project);
  for (const std::string& element : elements) {
    const std::string directory = workspaces.directory_of(*workspaces.find(element));
    if (!has_entries(directory)) continue;
    CHECK(files.may_remove(directory, element));
  }
  return {};
}

std::vector<std::string> names_of(const WorkspacesFile& workspaces) {
  std::vector<std::string> names;
  for (const auto& workspace : workspaces.list()) names.push_back(workspace.element);
  return names;
}

Status close(Invocation& invocation, const WorkspaceCloseCommand& command) {
  CHECK(check_project(load_arguments(invocation.global), false));
  auto here = TRY(whereabouts(invocation, kUnable));
  std::vector<std::string> names = command.elements;
  if (names.empty() && !command.all) {
    if (here.element.empty()) return fail("app", "", "No elements specified");
    names = {here.element};
  }
  auto workspaces = TRY(WorkspacesFile::open(here.project));
  if (command.all && workspaces.list().empty())
    return write_all(2, "No open workspaces to close\n");
  if (command.all) names = names_of(workspaces);
  auto elements = TRY(redirected(invocation, names, workspaces, false));
  CHECK(check_open(elements, workspaces, "app"));
  if (command.remove_directory) {
    CHECK(may_go(invocation, here.project, workspaces, elements));
  }
  for (const std::string& element : elements) {
    CHECK(close_one(invocation, workspaces, element, command.remove_directory));
  }
  return {};
}

Status reset(Invocation& invocation, const WorkspaceResetCommand& command) {
  if (command.all && !command.elements.empty())
    return fail("app", "", "Specify either --all or elements, not both");
  CHECK(check_project(load_arguments(invocation.global), false));
  auto here = TRY(whereabouts(invocation, kUnable));
  std::vector<std::string> names = command.elements;
  if (names.empty() && !command.all) {
    if (here.element.empty()) return fail("app", "", "No elements specified to reset");
    names = {here.element};
  }
  struct Reset {
    std::string element, directory;
  };
  std::vector<Reset> resets;
  {
    auto workspaces = TRY(WorkspacesFile::open(here.project));
    if (command.all && workspaces.list().empty())
      return fail("app", "", "No open workspaces to reset");
    if (command.all) names = names_of(workspaces);
    auto elements = TRY(redirected(invocation, names, workspaces, true));
    CHECK(check_open(elements, workspaces, "stream"));
    if (!command.soft) {
      CHECK(may_go(invocation, here.project, workspaces, elements));
    }
    for (const std::string& element : elements) {
      auto& workspace = *workspaces.find(element);
      resets.push_back({element, workspaces.directory_of(workspace)});
      if (!command.soft) continue;
      workspace.last_build.clear();
      CHECK(workspaces.save());
      invocation.report.info(
          fmt::format("Reset workspace state for {} at: {}", element, resets.back().directory));
    }
  }
  if (command.soft) return {};
  for (const Reset& one : resets) {
    WorkspaceOpenCommand again;
    again.elements = {one.element};
    again.force = true;
    again.directory = one.directory;
    CHECK(open(invocation, again));
  }
  return {};
}

Status list(Invocation& invocation) {
  CHECK(check_project(load_arguments(invocation.global), false));
  auto here = TRY(whereabouts(invocation, kUnable));
  auto workspaces = TRY(WorkspacesFile::read(here.project));
  model::Node all = model::Node::make_list();
  for (const auto& workspace : workspaces.list()) {
    all.list.push_back(model::Node::make_map(
        {{"element", model::Node::make_scalar(workspace.element)},
         {"directory", model::Node::make_scalar(workspaces.directory_of(workspace))}}));
  }
  return print(yaml::dump(model::Node::make_map({{"workspaces", all}})));
}

int ended(Invocation& invocation, const Status& status) {
  if (status) return kSuccess;
  return status.error().domain.empty() ? kFailure : failed(invocation, status.error());
}

}  // namespace

int run_workspace_open(Invocation& invocation, const WorkspaceOpenCommand& command) {
  return ended(invocation, open(invocation, command));
}
int run_workspace_close(Invocation& invocation, const WorkspaceCloseCommand& command) {
  return ended(invocation, close(invocation, command));
}
int run_workspace_reset(Invocation& invocation, const WorkspaceResetCommand& command) {
  return ended(invocation, reset(invocation, command));
}
int run_workspace_list(Invocation& invocation) { return ended(invocation, list(invocation)); }

}  // namespace sluice::cli
