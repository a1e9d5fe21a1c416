#include "loader/project.h"

#include <algorithm>
#include <filesystem>

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/file.h"
#include "loader/builtin.h"
#include "loader/compose.h"
#include "loader/paths.h"
#include "loader/try.h"
#include "loader/variables.h"
#include "loader/yaml_parse.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kFileName = "project.conf";
constexpr std::string_view kWorkspaceFileName = ".bstproject.yaml";
// The version of BuildStream whose format this is.
constexpr int kMajor = 2;
constexpr int kMinor = 8;

constexpr std::string_view kKeys[] = {
    "min-version", "element-path", "variables", "environment", "environment-nocache", "split-rules", "elements", "plugins",
    "aliases", "name", "defaults", "artifacts", "options", "fail-on-overlap", "shell", "fatal-warnings", "ref-storage",
    "sandbox", "mirrors", "sources", "source-caches", "junctions", "source-provenance-attributes", "(@)", "(?)"};

// What conditionals may not change.
constexpr std::string_view kUnconditional[] = {"min-version", "name", "element-path", "junctions", "defaults",
                                               "fatal-warnings", "ref-storage", "options", "plugins"};

tl::unexpected<Error> unsupported(const Node& at, std::string_view what) {
  return load_error(at, "unsupported", fmt::format("{} is not supported yet", what));
}

std::string url_quote(std::string_view path) {
  std::string quoted;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~/").find(c) != std::string_view::npos;
    quoted += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return quoted;
}

// MAJOR.MINOR, as Python's int() reads the two parts.
bool parse_version(std::string_view text, std::int64_t& major, std::int64_t& minor) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view rest = text.substr(dot + 1);
  Node first;
  Node second;
  first.text = strip(text.substr(0, dot));
  second.text = strip(rest.substr(0, rest.find('.')));
  const auto major_value = as_int(first, "");
  const auto minor_value = as_int(second, "");
  if (!major_value || !minor_value) return false;
  major = *major_value;
  minor = *minor_value;
  return true;
}

}  // namespace

Project::Project(std::string directory, const Platform& platform)
    : directory(std::move(directory)), options(platform), includes(arena, this->directory) {}

Result<std::string> Project::find_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(directory, error).lexically_normal();
  if (error) return fail("load", "missing-project-conf", fmt::format("{}: {}", directory, error.message()));
  while (true) {
    if (path_exists((path / kFileName).string())) {
      const auto resolved = std::filesystem::canonical(path, error);
      if (error) return fail("load", "missing-project-conf", fmt::format("{}: {}", path.string(), error.message()));
      return resolved.string();
    }
    if (path_exists((path / kWorkspaceFileName).string())) {
      return fail("load", "unsupported", fmt::format("Running from a workspace is not supported yet: {}", (path / kWorkspaceFileName).string()));
    }
    if (!path.has_relative_path()) break;
    path = path.parent_path();
  }
  return fail("load", "missing-project-conf",
              fmt::format("None of ['{}', '{}'] found in '{}' or any of its parent directories", kFileName, kWorkspaceFileName, directory));
}

Result<std::unique_ptr<Project>> Project::load(const std::string& directory, const Platform& platform, const UserConfig& user,
                                               const std::vector<std::pair<std::string, std::string>>& options) {
  std::unique_ptr<Project> project(new Project(directory, platform));
  CHECK(project->load_file(user, options));
  // Keys depend on open workspaces, so they can't be passed over.
  const std::string workspaces = project->directory + "/.bst/workspaces.yml";
  if (path_exists(workspaces)) {
    const File file{workspaces, ".bst/workspaces.yml"};
    const Node* root = TRY(load_yaml(project->arena, file));
    const Node* open = root->find("workspaces");
    if (open != nullptr && !open->empty()) {
      return fail("load", "unsupported", "Open workspaces are not supported yet", {file.display, open->mark.line + 1, open->mark.column});
    }
  }
  return project;
}

Status Project::load_file(const UserConfig& user, const std::vector<std::pair<std::string, std::string>>& options_given) {
  defaults_file_ = {"projectconfig.yaml", "projectconfig.yaml"};
  file_ = {fmt::format("{}/{}", directory, kFileName), std::string(kFileName)};
  const Node* defaults = TRY(parse_yaml(arena, defaults_file_, builtin_file("projectconfig.yaml")));
  auto loaded = load_yaml(arena, file_);
  if (!loaded) {
    if (loaded.error().reason == "missing-file") loaded.error().reason = "missing-project-conf";
    return forward(loaded);
  }
  const Node* conf = *loaded;

  // What is the same whatever options and includes say.
  Node* fixed = clone(arena, *defaults);
  CHECK(compose(arena, *conf, *fixed));
  CHECK(check_version(*fixed));
  CHECK(validate_keys(*fixed, kKeys));
  name = TRY(get_string(*conf, "name"));
  CHECK(assert_symbol_name(name, "project name", *fixed->find("name")));
  element_path = join(directory, TRY(checked_path(*TRY(get_scalar(*fixed, "element-path")), PathKind::kDirectory)));
  const Node& default_targets_node = *TRY(get_map(*fixed, "defaults"));
  CHECK(validate_keys(default_targets_node, {"targets"}));
  targets = TRY(get_strings(default_targets_node, "targets"));
  fatal_warnings = TRY(find_strings(*fixed, "fatal-warnings"));
  // What `junctions` says is about projects that junctions load, and there are none.
  if (const Node* junctions = TRY(find_map(*fixed, "junctions"))) {
    CHECK(validate_keys(*junctions, {"duplicates", "internal", "disallow-subproject-uris"}));
  }
  const Node& ref_storage = *TRY(get_scalar(*fixed, "ref-storage"));
  if (ref_storage.text == "project.refs") return unsupported(ref_storage, "ref-storage: project.refs");
  if (ref_storage.text != "inline") {
    return invalid_data(ref_storage, fmt::format("Invalid value '{}' specified for ref-storage", ref_storage.text));
  }

  Node* own = clone(arena, *conf);
  CHECK(includes.process(arena, *own, nullptr));
  Node* config = clone(arena, *defaults);
  CHECK(compose(arena, *own, *config));
  CHECK(load_plugins(*config));

  options.set_element_path(element_path);
  if (const Node* declarations = TRY(find_map(*config, "options"))) CHECK(options.declare(*declarations));
  if (const Node* overrides = TRY(user.project(name))) {
    if (const Node* values = TRY(find_map(*overrides, "options"))) CHECK(options.set_from_map(*values));
  }
  CHECK(options.set_from_command_line(options_given));
  CHECK(options.resolve());
  CHECK(options.process(arena, *config, kUnconditional));

  // Overrides are composed onto kinds later, so directives may remain in them.
  element_overrides = TRY(find_map(*config, "elements"));
  source_overrides = TRY(find_map(*config, "sources"));
  config->remove("elements");
  config->remove("sources");
  CHECK(assert_composited(*config));

  variables = TRY(get_map(*config, "variables"));
  const auto set_variable = [&](std::string_view key, std::string_view value) {
    const Node* old = variables->find(key);
    variables->set(arena, key, make_scalar(arena, arena.copy(value), old != nullptr ? old->mark : Mark{}));
  };
  set_variable("project-name", name);
  set_variable("max-jobs", fmt::format("{}", user.settings.max_jobs));
  options.export_variables(arena, *variables);
  CHECK(load_aliases(*config));

  CHECK(validate_keys(*config, kKeys));
  for (std::string_view key : {"name", "element-path", "min-version", "plugins"}) {
    const Node* node = config->find(key);
    if (node != nullptr && node->mark.file != &file_ && node->mark.file != &defaults_file_) {
      return invalid_data(*node, fmt::format("Unexpected key: {}", key),
                          fmt::format("The '{}' configuration must be specified in project.conf", key));
    }
  }
  CHECK(refuse_unsupported(*config));
  environment = TRY(get_map(*config, "environment"));
  environment_nocache = TRY(get_strings(*config, "environment-nocache"));
  sandbox = TRY(get_map(*config, "sandbox"));
  split_rules = TRY(get_map(*config, "split-rules"));
  if (const Node* overlap = TRY(find_scalar(*config, "fail-on-overlap"))) {
    warnings.push_back(provenance(*overlap).str() +
                       ": Use of fail-on-overlap within project.conf is deprecated. Consider using fatal-warnings instead.");
    if (TRY(as_bool(*overlap, "fail-on-overlap")) && !warning_is_fatal("overlaps")) fatal_warnings.emplace_back("overlaps");
  }
  CHECK(load_shell(*config));
  // A project's own list replaces the built-in one rather than adding to it.
  provenance_attributes = TRY(find_map(*own, "source-provenance-attributes"));
  if (provenance_attributes == nullptr || provenance_attributes->empty()) {
    provenance_attributes = TRY(get_map(*config, "source-provenance-attributes"));
  }
  return {};
}

Status Project::check_version(const Node& config) const {
  const Node* node = TRY(find_scalar(config, "min-version"));
  if (node == nullptr) {
    return invalid_data(config, "Dictionary did not contain expected key 'min-version'",
                        "If you are trying to use a BuildStream 1 project, please install BuildStream 1 to use this project.");
  }
  std::int64_t major = 0;
  std::int64_t minor = 0;
  if (!parse_version(node->text, major, minor)) {
    return invalid_data(*node, fmt::format("Malformed version string: {}", node->text),
                        "The min-version must be specified as MAJOR.MINOR with numeric major and minor minimum required version numbers");
  }
  if (major != kMajor) {
    return load_error(*node, "unsupported-project", "Version mismatch",
                      fmt::format("Project requires BuildStream {}, but BuildStream {} is what this implements.\n"
                                  "Please use BuildStream {} with this project.",
                                  major, kMajor, major));
  }
  if (minor > kMinor) {
    return load_error(*node, "unsupported-project", "Version mismatch",
                      fmt::format("Project requires at least BuildStream {}.{}, but BuildStream {}.{} is what this implements.",
                                  major, minor, kMajor, kMinor));
  }
  return {};
}

Status Project::load_plugins(const Node& config) {
  const Node* origins = TRY(find_list(config, "plugins"));
  if (origins == nullptr) return {};
  static constexpr std::string_view kOrigins[] = {"local", "pip", "junction"};
  for (const Node* origin : origins->items()) {
    if (!origin->is_map()) return invalid_data(*origin, "Plugin origin is not specified as a dictionary");
    const std::string_view type = TRY(get_enum(*origin, "origin", kOrigins));
    const std::string_view key = type == "local" ? "path" : type == "pip" ? "package-name" : "junction";
    CHECK(validate_keys(*origin, {key, "origin", "sources", "elements", "source-mirrors", "allow-deprecated"}));
    const Node& where = *TRY(get_scalar(*origin, key));
    if (type == "local") TRY(checked_path(where, PathKind::kDirectory));
    TRY(get_bool(*origin, "allow-deprecated", false));
    struct Group {
      std::string_view key;
      std::unordered_map<std::string_view, const Node*>* plugins;
      std::string_view noun;
    };
    for (const Group& group : {Group{"elements", &element_plugins_, "element"}, Group{"sources", &source_plugins_, "source"},
                               Group{"source-mirrors", nullptr, "source-mirror"}}) {
      const Node* list = TRY(find_list(*origin, group.key));
      if (list == nullptr) continue;
      std::vector<std::string_view> here;  // within one origin, the last of a name wins
      for (const Node* item : list->items()) {
        std::string_view kind = item->text;
        if (item->is_map()) {
          CHECK(validate_keys(*item, {"kind", "allow-deprecated"}));
          kind = TRY(get_string(*item, "kind"));
          TRY(get_bool(*item, "allow-deprecated", false));
        } else if (item->is_list()) {
          return invalid_data(*item, "Plugin is not specified as a string or a dictionary");
        }
        if (group.plugins == nullptr) return unsupported(*item, fmt::format("Source mirror plugin '{}'", kind));
        const bool seen_here = std::find(here.begin(), here.end(), kind) != here.end();
        if (!seen_here && group.plugins->contains(kind)) {
          return fail("plugin", "duplicate-plugin", fmt::format("More than one {} plugin registered as kind '{}'", group.noun, kind),
                      provenance(*item));
        }
        (*group.plugins)[kind] = item;
        here.push_back(kind);
      }
    }
  }
  return {};
}

const Node* Project::element_plugin(std::string_view kind) const {
  const auto found = element_plugins_.find(kind);
  return found == element_plugins_.end() ? nullptr : found->second;
}

const Node* Project::source_plugin(std::string_view kind) const {
  const auto found = source_plugins_.find(kind);
  return found == source_plugins_.end() ? nullptr : found->second;
}

Status Project::load_aliases(const Node& config) {
  aliases = TRY(find_map(config, "aliases"));
  Node* scope = clone(arena, *variables);
  const auto set = [&](std::string_view key, std::string_view value) {
    scope->set(arena, key, make_scalar(arena, arena.copy(value)));
  };
  set("project-root", directory);
  set("toplevel-root", directory);
  set("project-root-uri", "file://" + url_quote(directory));
  set("toplevel-root-uri", "file://" + url_quote(directory));
  Variables resolver = TRY(Variables::create(arena, *scope));
  if (aliases == nullptr) return {};
  for (const Entry& entry : aliases->entries()) TRY(get_scalar(*aliases, entry.key));
  return resolver.expand(*aliases);
}

Status Project::refuse_unsupported(const Node& config) const {
  for (std::string_view key : {"artifacts", "source-caches", "mirrors"}) {
    const Node* list = TRY(find_list(config, key));
    if (list != nullptr && !list->empty()) return unsupported(*list, fmt::format("'{}' in project.conf", key));
  }
  return {};
}

Status Project::load_shell(const Node& config) {
  const Node& node = *TRY(get_map(config, "shell"));
  CHECK(validate_keys(node, {"command", "environment", "host-files"}));
  shell.command = TRY(get_strings(node, "command"));
  if (const Node* variables_node = TRY(find_map(node, "environment"))) {
    for (const Entry& entry : variables_node->entries()) {
      shell.environment.emplace_back(entry.key, expand_environment(TRY(get_string(*variables_node, entry.key))));
    }
  }
  const Node* files = TRY(find_list(node, "host-files"));
  if (files == nullptr) return {};
  for (const Node* file : files->items()) {
    model::ShellConfig::HostFile mount;
    if (file->is_list()) return invalid_data(*file, "Host file is not specified as a string or a dictionary");
    if (file->is_scalar()) {
      mount.path = file->text;
    } else {
      CHECK(validate_keys(*file, {"path", "host_path", "optional"}));
      mount.path = TRY(get_string(*file, "path"));
      mount.source = TRY(get_string(*file, "host_path", ""));
      mount.optional = TRY(get_bool(*file, "optional", false));
    }
    mount.path = expand_environment(mount.path);
    mount.source = mount.source.empty() ? mount.path : expand_environment(mount.source);
    shell.host_files.push_back(std::move(mount));
  }
  return {};
}

Result<std::string> Project::checked_path(const Node& node, PathKind kind) const {
  namespace fs = std::filesystem;
  const fs::path path{std::string(node.text)};
  const fs::path full = path.is_absolute() ? path : fs::path(directory) / path;
  std::error_code error;
  // As Python's pathlib, which drops slashes and dots at the end before it looks.
  fs::path looked_at = full;
  while (looked_at.filename().empty() || looked_at.filename() == ".") {
    if (!looked_at.has_relative_path()) break;
    looked_at = looked_at.parent_path();
  }
  const auto invalid = [&](std::string reason, std::string message) { return load_error(node, std::move(reason), std::move(message)); };
  if (fs::is_symlink(fs::symlink_status(looked_at, error))) {
    return invalid("proj-path-invalid-kind", fmt::format("Specified path '{}' must not point to symbolic links ", node.text));
  }
  const auto first = std::find_if(path.begin(), path.end(), [](const fs::path& part) { return part != "."; });
  if (first != path.end() && *first == "..") {
    return invalid("proj-path-invalid", fmt::format("Specified path '{}' first component must not be '..'", node.text));
  }
  const fs::path resolved = fs::canonical(looked_at, error);
  if (error == std::errc::no_such_file_or_directory) {
    return invalid("missing-file", fmt::format("Specified path '{}' does not exist", node.text));
  }
  if (error) return invalid("proj-path-invalid", fmt::format("Specified path '{}': {}", node.text, error.message()));
  const std::string inside = resolved.string();
  if (inside != directory && !inside.starts_with(directory == "/" ? directory : directory + "/")) {
    return invalid("proj-path-invalid", fmt::format("Specified path '{}' must not lead outside of the project directory", node.text));
  }
  if (path.is_absolute()) {
    return invalid("proj-path-invalid", fmt::format("Absolute path: '{}' invalid.\nPlease specify a path relative to the project's root.", node.text));
  }
  const fs::file_status status = fs::status(resolved, error);
  if (fs::is_socket(status) || fs::is_fifo(status) || fs::is_block_file(status) || fs::is_character_file(status)) {
    return invalid("proj-path-invalid-kind", fmt::format("Specified path '{}' points to an unsupported file kind", node.text));
  }
  if (kind == PathKind::kDirectory && !fs::is_directory(status)) {
    return invalid("proj-path-invalid-kind", fmt::format("Specified path '{}' is not a directory", node.text));
  }
  return std::string(node.text);
}

Result<std::vector<std::string>> Project::default_targets() const {
  if (!targets.empty()) return targets;
  std::vector<std::string> found;
  // Files of a directory first, then its subdirectories; links aren't followed.
  std::vector<std::string> pending = {""};
  while (!pending.empty()) {
    const std::string relative = std::move(pending.back());
    pending.pop_back();
    const std::string path = relative.empty() ? element_path : element_path + "/" + relative;
    DIR* stream = ::opendir(path.c_str());
    if (stream == nullptr) continue;
    std::vector<std::string> directories;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view item = entry->d_name;
      if (item == "." || item == "..") continue;
      const std::string below = relative.empty() ? std::string(item) : fmt::format("{}/{}", relative, item);
      struct stat target {};
      struct stat link {};
      const std::string full = element_path + "/" + below;
      const bool is_directory = ::stat(full.c_str(), &target) == 0 && S_ISDIR(target.st_mode);
      const bool is_link = ::lstat(full.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
      if (!is_directory) {
        if (item.ends_with(".bst")) found.push_back(below);
      } else if (!is_link && item != ".bst") {
        directories.push_back(below);
      }
    }
    ::closedir(stream);
    pending.insert(pending.end(), directories.rbegin(), directories.rend());
  }
  return found;
}

bool Project::warning_is_fatal(std::string_view token) const {
  return std::find(fatal_warnings.begin(), fatal_warnings.end(), token) != fatal_warnings.end();
}

}  // namespace sluice::loader
