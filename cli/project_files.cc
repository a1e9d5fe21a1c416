#include "cli/project_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include <fmt/format.h>

#include "base/file.h"
#include "base/paths.h"
#include "cli/load.h"
#include "project/lookups.h"
#include "project/project_file.h"
#include "project/user_config.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace fs = std::filesystem;

namespace {

std::string resolved(const std::string& path) {
  std::error_code error;
  std::string out = fs::weakly_canonical(path, error).string();
  if (error || out.empty()) out = normalize(path);
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

bool below(const std::string& path, const std::string& directory) {
  if (directory == "/") return path.size() > 1;
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

bool is_element(const fs::path& path) { return path.extension() == ".bst"; }

// Calls `f` with each element file below a directory; stops when it says so.
void each_element(const std::string& directory, const std::function<bool(const std::string&)>& f) {
  std::error_code error;
  for (fs::recursive_directory_iterator
           it(directory, fs::directory_options::skip_permission_denied, error),
       end;
       !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const std::string name = it->path().filename().string();
    if (it->is_directory(ignored) && (name == ".bst" || name == ".bst2" || name == ".git")) {
      it.disable_recursion_pending();
    } else if (is_element(it->path()) && it->is_regular_file(ignored) && !f(it->path().string())) {
      return;
    }
  }
}

}  // namespace

void ProjectFiles::add(std::string path, std::string what, Provenance at) {
  places_.push_back({resolved(path), std::move(what), std::move(at), "", false, false});
}

bool ProjectFiles::whole(const Place& place) const {
  return place.path == project_ || below(project_, place.path);
}

void ProjectFiles::scan(const std::string& path, const std::string& display,
                        const std::string& what) {
  if (std::find(scanned_.begin(), scanned_.end(), path) != scanned_.end()) return;
  scanned_.push_back(path);
  project::Lookups lookups;
  yaml::Arena arena;
  const yaml::File file{path, display};
  auto root = project::load_yaml(lookups, arena, file);
  if (!root) return;
  std::vector<const yaml::Node*> pending{*root};
  const auto include = [&](const yaml::Node& name) {
    if (!name.is_scalar() || name.text.empty() || name.text.find(':') != std::string_view::npos)
      return;
    const std::string included = project_ + "/" + std::string(name.text);
    add(included, fmt::format("'{}', which {} includes", name.text, what), yaml::provenance(name));
    scan(included, std::string(name.text), std::string(name.text));
  };
  while (!pending.empty()) {
    const yaml::Node& node = *pending.back();
    pending.pop_back();
    for (const yaml::Node* item : node.items()) pending.push_back(item);
    const yaml::Node* named = node.is_map() ? node.find("path") : nullptr;
    // Paths of sources, and of plugins in project.conf.
    if (named != nullptr && named->is_scalar() && !named->text.empty() &&
        (node.contains("kind") || node.contains("origin"))) {
      add(join(project_, named->text), fmt::format("'{}', which {} reads", named->text, what),
          yaml::provenance(*named));
    }
    for (const yaml::Entry& entry : node.entries()) {
      if (entry.key == "(@)") {
        include(*entry.value);
        for (const yaml::Node* item : entry.value->items()) include(*item);
      }
      pending.push_back(entry.value);
    }
  }
}

void ProjectFiles::add_workspaces() {
  project::Lookups lookups;
  yaml::Arena arena;
  const yaml::File file{project_ + "/.bst2/workspaces.yml", "workspaces.yml"};
  auto root = project::load_yaml(lookups, arena, file);
  const yaml::Node* all = root ? (*root)->find("workspaces") : nullptr;
  if (all == nullptr || !all->is_map()) return;
  for (const yaml::Entry& entry : all->entries()) {
    const yaml::Node* path = entry.value->is_map() ? entry.value->find("path") : nullptr;
    if (path == nullptr || !path->is_scalar()) continue;
    add(join(project_, path->text), fmt::format("the workspace of {}", entry.key),
        yaml::provenance(*path));
    places_.back().workspace = entry.key;
  }
}

void ProjectFiles::add_loaded(Invocation& invocation) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.directory = project_;
  arguments.what.targets = {"**.bst"};
  arguments.what.deps = "none";
  arguments.what.ignore_workspaces = true;
  auto loaded = load_once(arguments);
  if (!loaded) return;
  for (const auto index : loaded->selection) {
    const model::Element& element = loaded->snapshot.elements[index];
    auto body = wire::unpack_body(element.body);
    if (!body) continue;
    for (const model::Source& source : body->sources) {
      if (!source.path.empty())
        add(source.path, fmt::format("'{}', which {} reads", source.path, element.full_name),
            source.provenance);
    }
  }
}

ProjectFiles ProjectFiles::of(Invocation& invocation, const std::string& project) {
  ProjectFiles files;
  files.project_ = resolved(project);
  const std::string conf = files.project_ + "/project.conf";
  const auto plain = [](const std::string& file) { return Provenance{file, 0, 0}; };
  files.add(conf, "the project's project.conf", plain(conf));
  for (const char* name : {".bst", ".bst2", "project.refs", "junction.refs"}) {
    files.add(files.project_ + "/" + name, fmt::format("the project's {}", name), plain(conf));
  }
  files.scan(conf, "project.conf", "project.conf");
  std::string elements = files.project_;
  {
    project::Lookups lookups;
    yaml::Arena arena;
    const yaml::File file{conf, "project.conf"};
    auto root = project::load_yaml(lookups, arena, file);
    const yaml::Node* path = root ? (*root)->find("element-path") : nullptr;
    const bool told = path != nullptr && path->is_scalar();
    if (told) elements = resolved(join(files.project_, path->text));
    files.add(elements, "the project's element path", told ? yaml::provenance(*path) : plain(conf));
    files.places_.back().elements = true;
  }
  each_element(elements, [&](const std::string& path) {
    const std::string name = path.substr(elements.size() + 1);
    files.scan(path, name, name);
    return true;
  });
  files.add_workspaces();
  files.add_loaded(invocation);
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    files.add(home, "your home directory", {});
    files.places_.back().only_above = true;
  }
  const std::string& given = load_arguments(invocation.global).what.config;
  if (auto config = project::load_user_config(given, {}, 1)) {
    const model::Settings& settings = (*config)->settings;
    const Provenance at = settings.config_file.empty() ? Provenance{} : plain(settings.config_file);
    files.add(settings.cachedir, "the cache", at);
    files.add(settings.sourcedir, "the directory of downloaded sources", at);
    files.add(settings.logdir, "the directory of logs", at);
  }
  return files;
}

Status ProjectFiles::may_remove(const std::string& directory, const std::string& element) const {
  const std::string path = resolved(directory);
  const auto refused = [&](const Place& place, std::string_view how) -> Status {
    return fail("stream", "directory-in-use",
                fmt::format("'{}' is left as it is: it {} {}", directory, how, place.what),
                place.at, "Nothing was changed. Its files would be lost.");
  };
  for (const Place& place : places_) {
    const bool own = !place.workspace.empty() && place.workspace == element;
    if (place.path == path) {
      if (!own) return refused(place, "is");
    } else if (below(place.path, path)) {
      // A file that isn't there can't be lost, but what was said of it stays true.
      if (!own && path_exists(place.path)) return refused(place, "holds");
    } else if (below(path, place.path) && !own && !place.only_above) {
      // Where everything is a part of it, only what it is made of counts.
      if (place.elements && whole(place)) {
        bool any = false;
        if (element.empty())
          each_element(path, [&](const std::string&) { return any = true, false; });
        if (!any) continue;
      } else if (whole(place) && !element.empty()) {
        continue;
      }
      return refused(place, "lies in");
    }
  }
  return {};
}

Status ProjectFiles::may_overwrite(const std::string& file) const {
  const std::string path =
      resolved(file.substr(0, file.rfind('/') + 1)) + file.substr(file.rfind('/'));
  for (const Place& place : places_) {
    if (place.only_above || (place.path != path && !below(path, place.path))) continue;
    if (whole(place) && !(place.elements && is_element(path))) continue;
    return fail("stream", "file-in-use",
                fmt::format("'{}' is left as it is: it {} {}", file,
                            place.path == path ? "is" : "lies in", place.what),
                place.at, "Nothing was changed.");
  }
  return {};
}

bool ProjectFiles::near(const std::string& directory) const {
  const std::string path = resolved(directory);
  return std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
    return !place.only_above &&
           (place.path == path || below(place.path, path) || below(path, place.path));
  });
}

}  // namespace sluice::cli
