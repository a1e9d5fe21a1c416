#include "cli/workspaces_file.h"

#include <algorithm>
#include <filesystem>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/paths.h"
#include "base/try.h"
#include "project/lookups.h"
#include "project/project_file.h"
#include "project/whereabouts.h"
#include "project/workspaces.h"
#include "yaml/dump.h"

namespace sluice::cli {

namespace {

constexpr const char* kFormat = "4";
constexpr const char* kOriginFormat = "1";
constexpr const char* kOriginName = ".bstproject.yaml";

model::Node scalar(const std::string& text) { return model::Node::make_scalar(text); }

Result<model::Node> read_yaml(const std::string& path, const std::string& display) {
  project::Lookups lookups;
  yaml::Arena arena;
  const yaml::File file{path, display};
  auto root = TRY(project::load_yaml(lookups, arena, file));
  return yaml::to_model(*root);
}

// The project goes to the end of those that have this directory as a workspace.
Status add_origin(const std::string& directory, const std::string& project,
                  const std::string& element) {
  const std::string path = directory + "/" + kOriginName;
  model::Node projects = model::Node::make_list();
  if (path_exists(path)) {
    auto present = TRY(read_yaml(path, path));
    if (const model::Node* list = present.find("projects"); list != nullptr && list->is_list())
      projects = *list;
  }
  projects.list.push_back(model::Node::make_map(
      {{"project-path", scalar(project)}, {"element-name", scalar(element)}}));
  return write_file_atomic(
      path, yaml::dump(model::Node::make_map(
                {{"projects", projects}, {"format-version", scalar(kOriginFormat)}})));
}

}  // namespace

Result<Whereabouts> whereabouts(const Invocation& invocation, const std::string& what) {
  project::Lookups lookups;
  auto found = project::find_project(lookups, load_arguments(invocation.global).what.directory);
  if (found) return Whereabouts{found->directory, found->workspace_element};
  if (found.error().reason != "missing-project-conf") return forward(found);
  return fail("stream", "project-not-loaded", what, {},
              "No project.conf or active workspace was located\n" + found.error().message);
}

std::string default_element(const Invocation& invocation) {
  const auto here = whereabouts(invocation, "");
  return here ? here->element : std::string();
}

Result<WorkspacesFile> WorkspacesFile::open(const std::string& project) {
  auto lock = TRY(lock_for("workspaces", project));
  auto file = read(project);
  if (file) file->lock_ = std::move(lock);
  return file;
}

Result<WorkspacesFile> WorkspacesFile::read(const std::string& project) {
  WorkspacesFile file(project);
  const std::string directory = project + "/.bst2";
  // The project's own reader comes first, for its errors, which are the loader's.
  project::Lookups lookups;
  CHECK(project::Workspaces::load(lookups, project));
  const std::string path = directory + "/workspaces.yml";
  if (!path_exists(path)) return file;
  auto root = TRY(read_yaml(path, "workspaces.yml"));
  if (const model::Node* all = root.find("workspaces"); all != nullptr) {
    for (const auto& [element, entry] : all->map) {
      file.workspaces_.push_back(
          {element, entry.get_string("path"), entry.get_string("last_build")});
    }
  }
  return file;
}

WorkspacesFile::Workspace* WorkspacesFile::find(const std::string& element) {
  const auto found = std::find_if(workspaces_.begin(), workspaces_.end(),
                                  [&](const Workspace& w) { return w.element == element; });
  return found == workspaces_.end() ? nullptr : &*found;
}

std::string WorkspacesFile::directory_of(const Workspace& workspace) const {
  return join(project_, workspace.path);
}

Status WorkspacesFile::add(const std::string& element, const std::string& directory) {
  std::string path = directory;
  if (path.starts_with(project_))
    path = std::filesystem::path(path).lexically_relative(project_).string();
  std::erase_if(workspaces_, [&](const Workspace& w) { return w.element == element; });
  workspaces_.push_back({element, path, ""});
  CHECK(add_origin(directory, project_, element));
  return save();
}

Status WorkspacesFile::remove(const std::string& element) {
  const Workspace* workspace = find(element);
  if (workspace == nullptr) return {};
  ::unlink((directory_of(*workspace) + "/" + kOriginName).c_str());
  std::erase_if(workspaces_, [&](const Workspace& w) { return w.element == element; });
  return save();
}

Status WorkspacesFile::save() const {
  model::Node all = model::Node::make_map();
  for (const Workspace& workspace : workspaces_) {
    model::Node entry = model::Node::make_map({{"path", scalar(workspace.path)}});
    if (!workspace.last_build.empty()) entry.set("last_build", scalar(workspace.last_build));
    all.set(workspace.element, std::move(entry));
  }
  CHECK(make_directories(project_ + "/.bst2"));
  return write_file_atomic(project_ + "/.bst2/workspaces.yml",
                           yaml::dump(model::Node::make_map(
                               {{"format-version", scalar(kFormat)}, {"workspaces", all}})));
}

}  // namespace sluice::cli
