// `workspace open | close | reset | list`: directories that take the place of elements' sources.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/export.h"
#include "cli/load.h"
#include "cli/sources.h"
#include "cli/workspaces_file.h"
#include "loader/paths.h"
#include "model/yaml_dump.h"

namespace sluice::cli {

namespace {

constexpr const char* kUnable = "Unable to locate workspaces";

tl::unexpected<Error> stream_error(std::string message, std::string reason = {}, std::string detail = {}) {
  return fail("stream", std::move(reason), std::move(message), {}, std::move(detail));
}

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, "\n")); }

std::string absolute(const std::string& path) { return loader::normalize(loader::join(load_arguments({}).directory, path)); }

Status close_one(Invocation& invocation, WorkspacesFile& workspaces, const std::string& element, bool remove_directory) {
  const WorkspacesFile::Workspace* workspace = workspaces.find(element);
  if (workspace == nullptr) return stream_error("Workspace does not exist", "", element);
  const std::string directory = workspaces.directory_of(*workspace);
  if (remove_directory) {
    if (!path_exists(directory)) return stream_error(fmt::format("Could not remove  '{}': it does not exist", directory));
    if (auto removed = remove_tree(directory); !removed) {
      return stream_error(fmt::format("Could not remove  '{}': {}", directory, removed.error().message));
    }
  }
  if (auto removed = workspaces.remove(element); !removed) return removed;
  invocation.report.info(fmt::format("Closed workspace for {}", element));
  return {};
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// An element with the directory that becomes its workspace.
struct Opening {
  model::ElementIndex index = 0;
  std::string directory;
};

// As much as can be found out before anything changes.
Result<std::vector<Opening>> plan(Invocation& invocation, Sources& sources, WorkspacesFile& workspaces, const WorkspaceOpenCommand& command) {
  std::vector<Opening> openings;
  const std::string place = absolute(sources.loaded().snapshot.settings.workspacedir);
  for (const auto index : sources.selection()) {
    const model::Element& element = sources.element(index);
    if (!element.has_sources) {
      std::vector<std::string> needed;
      for (const auto& dependency : element.dependencies) {
        if (dependency.build) needed.push_back(sources.element(dependency.element).name);
      }
      if (needed.empty()) return stream_error(fmt::format("The element {}  has no sources", element.name));
      return stream_error(fmt::format("The element {} has no sources", element.name), "",
                          "Try opening a workspace on one of its dependencies instead:\n" + joined(needed));
    }
    if (const auto* present = workspaces.find(element.full_name)) {
      const std::string directory = workspaces.directory_of(*present);
      if (!command.force) {
        return stream_error(fmt::format("Element '{}' already has an open workspace defined at: {}", element.name, directory));
      }
      if (!command.no_checkout) {
        invocation.report.warning(fmt::format("Replacing existing workspace for element '{}' defined at: {}", element.name, directory));
      }
      if (auto closed = close_one(invocation, workspaces, element.full_name, !command.no_checkout); !closed) return forward(closed);
    }
    std::string name = element.name;
    if (name.ends_with(".bst")) name.resize(name.size() - 4);
    openings.push_back({index, command.directory.empty() ? loader::normalize(place + "/" + name) : absolute(command.directory)});
  }
  if (!command.directory.empty() && openings.size() != 1) {
    return stream_error("Exactly one element can be given if --directory is used", "directory-with-multiple-elements");
  }
  for (const Opening& opening : openings) {
    if (!path_exists(opening.directory)) continue;
    const std::string& name = sources.element(opening.index).name;
    if (!is_directory(opening.directory)) {
      return stream_error(fmt::format("For element '{}', Directory path is not a directory: {}", name, opening.directory), "bad-directory");
    }
    if (!has_entries(opening.directory)) continue;
    if (!command.no_checkout && !command.force) {
      return stream_error(fmt::format("For element '{}', Directory path is not empty: {}", name, opening.directory), "bad-directory");
    }
    if (command.force && !command.no_checkout) {
      if (auto removed = remove_tree(opening.directory); !removed) return forward(removed);
    }
  }
  return openings;
}

Status open(Invocation& invocation, const WorkspaceOpenCommand& command) {
  // What is open already doesn't hide the sources that are in the project.
  auto sources = Sources::get(invocation, {command.elements, {}, "redirect", true, !command.no_checkout, true, command.remotes});
  if (!sources) return forward(sources);
  const std::string& project = sources->loaded().snapshot.projects.front().directory;
  // Nobody else changes the file from here on, and not while something was fetched.
  if (auto made = make_directories(project + "/.bst2"); !made) return made;
  auto workspaces = WorkspacesFile::open(project);
  if (!workspaces) return forward(workspaces);
  auto openings = plan(invocation, *sources, *workspaces, command);
  if (!openings) return forward(openings);
  for (std::size_t i = 0; i < openings->size(); ++i) {
    const Opening& opening = (*openings)[i];
    const model::Element& element = sources->element(opening.index);
    if (auto made = make_directories(opening.directory); !made) {
      std::string rest;
      for (std::size_t j = i + 1; j < openings->size(); ++j) rest += " " + sources->element((*openings)[j].index).name;
      return stream_error(fmt::format("Failed to create workspace directory: {}", made.error().message), "workspace-directory-failure",
                          rest.empty() ? "" : "Did not try to create workspaces for" + rest);
    }
    if (!command.no_checkout) {
      auto root = sources->root(opening.index);
      if (!root) return forward(root);
      if (auto written = export_directory(sources->cas(), *root, opening.directory, true, false); !written) return written;
      if (path_exists(opening.directory + "/.bstproject.yaml")) {
        invocation.report.warning(".bstproject.yaml was staged from this element's sources");
      }
    }
    if (auto added = workspaces->add(element.full_name, opening.directory); !added) return added;
    invocation.report.info(fmt::format("Created a workspace for element {}", element.full_name));
  }
  return {};
}

// A filter's workspace is that of what it filters. Names that are no elements any more stay.
Result<std::vector<std::string>> redirected(Invocation& invocation, const std::vector<std::string>& names, WorkspacesFile& workspaces, bool full) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    std::string element = name;
    if (full || workspaces.find(name) == nullptr) {
      wire::LoadArguments arguments = load_arguments(invocation.global);
      arguments.targets = {name};
      arguments.deps = "redirect";
      arguments.bodies = false;
      auto loaded = load_once(arguments);
      if (loaded && !loaded->selection.empty()) {
        const model::Element& found = loaded->snapshot.elements[loaded->selection.front()];
        element = full ? found.full_name : found.name;
      } else if (!loaded && (full || loaded.error().reason != "missing-file")) {
        return forward(loaded);
      }
    }
    if (std::find(out.begin(), out.end(), element) == out.end()) out.push_back(element);
  }
  return out;
}

Status check_open(const std::vector<std::string>& names, WorkspacesFile& workspaces, std::string_view domain) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (workspaces.find(name) == nullptr) missing.push_back(name);
  }
  if (missing.empty()) return {};
  return fail(std::string(domain), "", "Workspace does not exist", {}, joined(missing));
}

std::vector<std::string> names_of(const WorkspacesFile& workspaces) {
  std::vector<std::string> names;
  for (const auto& workspace : workspaces.list()) names.push_back(workspace.element);
  return names;
}

Status close(Invocation& invocation, const WorkspaceCloseCommand& command) {
  if (auto good = check_project(load_arguments(invocation.global), false); !good) return forward(good);
  auto here = whereabouts(invocation, kUnable);
  if (!here) return forward(here);
  std::vector<std::string> names = command.elements;
  if (names.empty() && !command.all) {
    if (here->element.empty()) return fail("app", "", "No elements specified");
    names = {here->element};
  }
  auto workspaces = WorkspacesFile::open(here->project);
  if (!workspaces) return forward(workspaces);
  if (command.all && workspaces->list().empty()) return write_all(2, "No open workspaces to close\n");
  if (command.all) names = names_of(*workspaces);
  auto elements = redirected(invocation, names, *workspaces, false);
  if (!elements) return forward(elements);
  if (auto open = check_open(*elements, *workspaces, "app"); !open) return open;
  for (const std::string& element : *elements) {
    if (auto closed = close_one(invocation, *workspaces, element, command.remove_directory); !closed) return closed;
  }
  return {};
}

Status reset(Invocation& invocation, const WorkspaceResetCommand& command) {
  if (command.all && !command.elements.empty()) return fail("app", "", "Specify either --all or elements, not both");
  if (auto good = check_project(load_arguments(invocation.global), false); !good) return forward(good);
  auto here = whereabouts(invocation, kUnable);
  if (!here) return forward(here);
  std::vector<std::string> names = command.elements;
  if (names.empty() && !command.all) {
    if (here->element.empty()) return fail("app", "", "No elements specified to reset");
    names = {here->element};
  }
  struct Reset {
    std::string element, directory;
  };
  std::vector<Reset> resets;
  {
    auto workspaces = WorkspacesFile::open(here->project);
    if (!workspaces) return forward(workspaces);
    if (command.all && workspaces->list().empty()) return fail("app", "", "No open workspaces to reset");
    if (command.all) names = names_of(*workspaces);
    auto elements = redirected(invocation, names, *workspaces, true);
    if (!elements) return forward(elements);
    if (auto open = check_open(*elements, *workspaces, "stream"); !open) return open;
    for (const std::string& element : *elements) {
      auto& workspace = *workspaces->find(element);
      resets.push_back({element, workspaces->directory_of(workspace)});
      if (!command.soft) continue;
      workspace.last_build.clear();
      if (auto saved = workspaces->save(); !saved) return saved;
      invocation.report.info(fmt::format("Reset workspace state for {} at: {}", element, resets.back().directory));
    }
  }
  if (command.soft) return {};
  for (const Reset& one : resets) {
    WorkspaceOpenCommand again;
    again.elements = {one.element};
    again.force = true;
    again.directory = one.directory;
    if (auto opened = open(invocation, again); !opened) return opened;
  }
  return {};
}

Status list(Invocation& invocation) {
  if (auto good = check_project(load_arguments(invocation.global), false); !good) return forward(good);
  auto here = whereabouts(invocation, kUnable);
  if (!here) return forward(here);
  auto workspaces = WorkspacesFile::open(here->project);
  if (!workspaces) return forward(workspaces);
  model::Node all = model::Node::make_list();
  for (const auto& workspace : workspaces->list()) {
    all.list.push_back(model::Node::make_map({{"element", model::Node::make_scalar(workspace.element)},
                                              {"directory", model::Node::make_scalar(workspaces->directory_of(workspace))}}));
  }
  return write_all(1, model::dump_yaml(model::Node::make_map({{"workspaces", all}})));
}

int ended(Invocation& invocation, const Status& status) {
  if (status) return kSuccess;
  return status.error().domain.empty() ? kFailure : failed(invocation, status.error());
}

}  // namespace

int run_workspace_open(Invocation& invocation, const WorkspaceOpenCommand& command) { return ended(invocation, open(invocation, command)); }
int run_workspace_close(Invocation& invocation, const WorkspaceCloseCommand& command) { return ended(invocation, close(invocation, command)); }
int run_workspace_reset(Invocation& invocation, const WorkspaceResetCommand& command) { return ended(invocation, reset(invocation, command)); }
int run_workspace_list(Invocation& invocation) { return ended(invocation, list(invocation)); }

}  // namespace sluice::cli
