#include "cli/place.h"

#include <algorithm>
#include <filesystem>

#include "base/credentials.h"
#include "base/excerpt.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/text.h"
#include "yaml/arena.h"
#include "yaml/parse.h"

namespace sluice::cli {

namespace {

// No file that people write is larger, and none is read for a line that would be.
constexpr std::uintmax_t kLargest = 16 << 20;

bool is_readable_file(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::filesystem::file_size(path, error) <= kLargest && !error;
}

std::string element_path(const std::string& project) {
  const yaml::File file{project + "/project.conf", "project.conf"};
  const auto text = read_file(file.path);
  if (!text) return project;
  yaml::Arena arena;
  const auto conf = yaml::parse_yaml(arena, file, *text);
  if (!conf) return project;
  const auto* path = (*conf)->find("element-path");
  return path != nullptr && path->is_scalar() ? join(project, path->text) : project;
}

}  // namespace

// Errors name files from the project's directory, elements from where these are.
std::string file_of_place(const std::string& name, const std::string& directory) {
  if (name.starts_with('/')) return is_readable_file(name) ? name : "";
  const std::string project = find_project(directory);
  if (project.empty()) return {};
  std::vector<std::string> places = {join(project, name)};
  if (name.ends_with(".bst")) places.insert(places.begin(), join(element_path(project), name));
  for (const std::string& path : places) {
    if (is_readable_file(path)) return path;
  }
  return {};
}

std::string find_project(std::string directory) {
  while (!directory.empty()) {
    if (path_exists(directory + "/project.conf")) return directory;
    const std::size_t slash = directory.find_last_of('/');
    directory.resize(slash == std::string::npos ? 0 : slash);
  }
  return "";
}

std::string place_text(const Provenance& place, const std::string& directory) {
  if (!place.known() || place.line == 0) return {};
  const std::string path = file_of_place(place.file, directory);
  if (path.empty()) return {};
  const auto text = read_file(path);
  if (!text) return {};
  const std::string_view line = line_of(*text, place.line);
  // The mark would be elsewhere in a line without its passwords.
  if (without_credentials(line) != line) return {};
  return "\n" + excerpt(line, place.line, place.column, terminal_columns());
}

}  // namespace sluice::cli
