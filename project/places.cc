#include "project/places.h"

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/paths.h"
#include "yaml/arena.h"
#include "yaml/parse.h"

namespace sluice::project {

namespace {

// No file that people write is larger, and none is read for a line that would be.
constexpr std::uintmax_t kLargest = 16 << 20;
constexpr unsigned kDeepest = 16;  // junctions and links behind one another
constexpr std::string_view kStaged = "/.bst/staged-junctions/";

bool is_readable_file(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::filesystem::file_size(path, error) <= kLargest && !error;
}

// A YAML file, as far as it says something without being evaluated.
class Plain {
 public:
  explicit Plain(const std::string& path) : file_{path, path} {
    if (!is_readable_file(path)) return;
    auto text = read_file(path);
    if (!text) return;
    text_ = std::move(*text);
    if (const auto parsed = yaml::parse_yaml(arena_, file_, text_)) root_ = *parsed;
  }
  const yaml::Node* root() const { return root_; }

 private:
  const yaml::File file_;
  std::string text_;
  yaml::Arena arena_;
  const yaml::Node* root_ = nullptr;
};

std::string text_at(const yaml::Node* map, std::string_view key) {
  const yaml::Node* const value = map == nullptr ? nullptr : map->find(key);
  return value != nullptr && value->is_scalar() ? std::string(value->text) : std::string();
}

bool stays_inside(const std::string& path) {
  return !path.starts_with('/') && ("/" + path + "/").find("/../") == std::string::npos;
}

std::string element_path(const std::string& project) {
  const Plain conf(project + "/project.conf");
  const std::string path = text_at(conf.root(), "element-path");
  return path.empty() ? project : join(project, path);
}

std::string file_in(const std::string& project, const std::string& name, unsigned depth);

// Where the project behind a junction is; "" when that isn't known.
std::string behind(const std::string& project, const std::string& junction, unsigned depth) {
  const std::string path = file_in(project, junction, depth);
  if (path.empty()) return {};
  const Plain element(path);
  const std::string kind = text_at(element.root(), "kind");
  const yaml::Node* const config =
      element.root() == nullptr ? nullptr : element.root()->find("config");
  if (kind == "link") {
    const std::string target = text_at(config, "target");
    const auto colon = target.rfind(':');
    const std::string in =
        colon == std::string::npos ? project : behind(project, target.substr(0, colon), depth + 1);
    return in.empty() ? in : behind(in, target.substr(colon + 1), depth + 1);
  }
  if (kind != "junction" || !stays_inside(junction)) return {};
  const yaml::Node* const sources = element.root()->find("sources");
  std::string found;
  if (sources != nullptr && sources->items().size() == 1 &&
      text_at(sources->items()[0], "kind") == "local") {
    const std::string local = text_at(sources->items()[0], "path");
    if (stays_inside(local)) found = join(project, local);
  } else {
    // Of several states of it nobody knows here which one was meant.
    std::error_code error;
    std::size_t states = 0;
    for (const auto& state :
         std::filesystem::directory_iterator(project + std::string(kStaged) + junction, error)) {
      found = state.path();
      ++states;
    }
    if (states != 1) return {};
  }
  const std::string below = text_at(config, "path");
  if (!found.empty() && !below.empty()) found = stays_inside(below) ? join(found, below) : "";
  return !found.empty() && path_exists(found + "/project.conf") ? found : "";
}

// Errors name files from the project's directory, elements from where these are.
std::string file_in(const std::string& project, const std::string& name, unsigned depth) {
  if (depth > kDeepest) return {};
  if (const auto colon = name.find(':'); colon != std::string::npos) {
    const std::string in = behind(project, name.substr(0, colon), depth + 1);
    return in.empty() ? in : file_in(in, name.substr(colon + 1), depth + 1);
  }
  if (name.empty() || !stays_inside(name)) return {};
  if (name.ends_with(".bst")) {
    if (std::string path = join(element_path(project), name); is_readable_file(path)) return path;
  }
  std::string path = join(project, name);
  return is_readable_file(path) ? path : "";
}

}  // namespace

std::string find_project(std::string directory) {
  while (!directory.empty()) {
    if (path_exists(directory + "/project.conf")) return directory;
    const std::size_t slash = directory.find_last_of('/');
    directory.resize(slash == std::string::npos ? 0 : slash);
  }
  return "";
}

std::string file_of(const std::string& name, const std::string& directory) {
  if (name.starts_with('/')) return is_readable_file(name) ? name : "";
  const std::string project = find_project(directory);
  return project.empty() ? project : file_in(project, name, 0);
}

std::string committed_file_of(const std::string& name, const std::string& directory) {
  std::string file = file_of(name, directory);
  return file.find(kStaged) == std::string::npos ? file : std::string();
}

}  // namespace sluice::project
