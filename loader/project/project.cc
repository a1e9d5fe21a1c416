#include "loader/project/project.h"

#include <algorithm>
#include <filesystem>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "loader/elements/plugin_asker.h"
#include "loader/elements/targets.h"
#include "loader/elements/variables.h"
#include "loader/project/project_loader.h"
#include "loader/project/source_project.h"
#include "loader/yaml.h"
#include "project/builtin.h"
#include "project/lookups.h"
#include "project/project_file.h"
#include "project/workspaces.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kFileName = "project.conf";
// The version of BuildStream whose format is read, as `min-version` counts.
constexpr int kMajor = 2;
constexpr int kMinor = 8;

constexpr std::string_view kKeys[] = {"min-version",
                                      "element-path",
                                      "variables",
                                      "environment",
                                      "environment-nocache",
                                      "split-rules",
                                      "elements",
                                      "plugins",
                                      "aliases",
                                      "name",
                                      "defaults",
                                      "artifacts",
                                      "options",
                                      "fail-on-overlap",
                                      "shell",
                                      "fatal-warnings",
                                      "ref-storage",
                                      "sandbox",
                                      "mirrors",
                                      "sources",
                                      "source-caches",
                                      "junctions",
                                      "source-provenance-attributes",
                                      "(@)",
                                      "(?)"};

// Keys that conditionals may not set.
constexpr std::string_view kUnconditional[] = {"min-version", "name",     "element-path",
                                               "junctions",   "defaults", "fatal-warnings",
                                               "ref-storage", "options",  "plugins"};

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

Result<std::optional<std::string>> Junction::parent_alias(std::string_view alias) const {
  if (aliases != nullptr) {
    if (const Node* mapped = TRY(find_scalar(*aliases, alias)))
      return std::optional<std::string>(mapped->text);
  }
  if (map_identity) return std::optional<std::string>(alias);
  return std::optional<std::string>();
}

Project::Project(std::string directory, const ProjectContext& context,
                 std::unique_ptr<Junction> junction)
    : directory(std::move(directory)), junction(std::move(junction)), includes(*this),
      element_includes(*this), first(*context.platform), full(*context.platform),
      context_(context) {
  if (context_.toplevel == nullptr) context_.toplevel = this;
}

std::string Project::display(std::string_view name) const {
  return junction != nullptr ? fmt::format("{}:{}", junction->name, name) : std::string(name);
}

Result<std::unique_ptr<Project>> Project::load(
    const std::string& directory, const ProjectContext& context, std::unique_ptr<Junction> junction,
    const std::vector<std::pair<std::string, std::string>>& options,
    const std::string& default_mirror) {
  std::unique_ptr<Project> project(new Project(directory, context, std::move(junction)));
  project->given_options_ = options;
  project->given_mirror_ = default_mirror;
  CHECK(project->load_first());
  return project;
}

Status Project::load_first() {
  defaults_file_ = {"projectconfig.yaml", "projectconfig.yaml"};
  file_ = {fmt::format("{}/{}", directory, kFileName), display(kFileName)};
  defaults_ = TRY(parse_yaml(arena, defaults_file_, builtin_file("projectconfig.yaml")));
  auto loaded = load_yaml(lookups(), arena, file_);
  if (!loaded) {
    if (loaded.error().reason == "missing-file") loaded.error().reason = "missing-project-conf";
    return forward(loaded);
  }
  conf_ = *loaded;

  // What follows is the same whatever options and includes say.
  Node* fixed = clone(arena, *defaults_);
  CHECK(compose(arena, *conf_, *fixed));
  CHECK(check_version(*fixed));
  CHECK(validate_keys(*fixed, kKeys));
  name = TRY(get_string(*conf_, "name"));
  CHECK(assert_symbol_name(name, "project name", *fixed->find("name")));
  element_path = join(
      directory, TRY(checked_path(*TRY(get_scalar(*fixed, "element-path")), PathKind::kDirectory)));
  const Node& default_targets_node = *TRY(get_map(*fixed, "defaults"));
  CHECK(validate_keys(default_targets_node, {"targets"}));
  targets = TRY(get_strings(default_targets_node, "targets"));
  fatal_warnings = TRY(find_strings(*fixed, "fatal-warnings"));
  CHECK(load_junctions(*fixed));

  Node* own = clone(arena, *conf_);
  CHECK(includes.process(arena, *own, Includes::Mode::kFirstPass));
  Node* config = clone(arena, *defaults_);
  CHECK(compose(arena, *own, *config));
  if (const Node* origins = TRY(find_list(*config, "plugins")))
    CHECK(plugins.load(*this, *origins));
  CHECK(load_pass(*config, first, true));

  const Node& ref_storage = *TRY(get_scalar(*fixed, "ref-storage"));
  refs_in_files = ref_storage.text == "project.refs";
  if (!refs_in_files && ref_storage.text != "inline") {
    return invalid_data(
        ref_storage, fmt::format("Invalid value '{}' specified for ref-storage", ref_storage.text));
  }
  if (refs_in_files)
    CHECK(junction_refs.load(lookups(), arena, directory + "/junction.refs", "junction.refs",
                             first.options));
  return {};
}

Status Project::load_junctions(const Node& config) {
  const Node* junctions = TRY(find_map(config, "junctions"));
  if (junctions != nullptr)
    CHECK(validate_keys(*junctions, {"duplicates", "internal", "disallow-subproject-uris"}));
  if (junction != nullptr && junction->project->disallow_subproject_uris) {
    // What a project demands of its subprojects they demand of theirs, and then nothing
    // may slip through without an alias.
    disallow_subproject_uris = true;
    if (!warning_is_fatal("unaliased-url")) fatal_warnings.emplace_back("unaliased-url");
  } else if (junctions != nullptr) {
    disallow_subproject_uris = TRY(get_bool(*junctions, "disallow-subproject-uris", false));
  }
  if (junctions == nullptr) return {};
  duplicates = TRY(find_map(*junctions, "duplicates"));
  internal = TRY(find_list(*junctions, "internal"));
  if (duplicates != nullptr) {
    for (const Entry& entry : duplicates->entries()) TRY(get_strings(*duplicates, entry.key));
  }
  if (internal != nullptr) TRY(as_strings(*internal));
  return {};
}

Status Project::load_pass(Node& config, ProjectPass& pass, bool ignore_unknown) {
  pass.options.set_element_path(lookups(), element_path);
  if (const Node* declarations = TRY(find_map(config, "options")))
    CHECK(pass.options.declare(*declarations));
  if (junction != nullptr && junction->options != nullptr)
    CHECK(pass.options.set_from_map(*junction->options));
  const Node* overrides = TRY(context_.user->project(name));
  if (overrides != nullptr) {
    if (const Node* values = TRY(find_map(*overrides, "options")))
      CHECK(pass.options.set_from_map(*values));
  }
  CHECK(pass.options.set_from_command_line(given_options_, ignore_unknown));
  CHECK(pass.options.resolve());
  CHECK(pass.options.process(arena, config, kUnconditional));

  // Overrides are composed onto kinds later, so directives may remain in them.
  pass.element_overrides = TRY(find_map(config, "elements"));
  pass.source_overrides = TRY(find_map(config, "sources"));
  config.remove("elements");
  config.remove("sources");
  CHECK(assert_composited(config));

  pass.variables = TRY(get_map(config, "variables"));
  const auto set_variable = [&](std::string_view key, std::string_view value) {
    const Node* old = pass.variables->find(key);
    pass.variables->set(arena, key,
                        make_scalar(arena, arena.copy(value), old != nullptr ? old->mark : Mark{}));
  };
  set_variable("project-name", name);
  set_variable("max-jobs", fmt::format("{}", context_.user->settings.max_jobs));
  pass.options.export_variables(arena, *pass.variables);
  return load_urls(config, pass);
}

Status Project::complete() {
  if (completed_) return {};
  if (junction != nullptr) {
    CHECK(junction->project->complete());
    if (completed_) return {};
  }
  // It is set first, since includes across junctions lead back here while this is being done.
  completed_ = true;

  Node* own = clone(arena, *conf_);
  CHECK(includes.process(arena, *own, Includes::Mode::kProject));
  Node* config = clone(arena, *defaults_);
  CHECK(compose(arena, *own, *config));
  CHECK(load_pass(*config, full, false));

  CHECK(validate_keys(*config, kKeys));
  for (std::string_view key : {"name", "element-path", "min-version", "plugins"}) {
    const Node* node = config->find(key);
    if (node != nullptr && node->mark.file != &file_ && node->mark.file != &defaults_file_) {
      return invalid_data(
          *node, fmt::format("Unexpected key: {}", key),
          fmt::format("The '{}' configuration must be specified in project.conf", key));
    }
  }
  CHECK(load_remotes(*config, "artifacts", artifact_remotes));
  CHECK(load_remotes(*config, "source-caches", source_remotes));
  environment = TRY(get_map(*config, "environment"));
  environment_nocache = TRY(get_strings(*config, "environment-nocache"));
  sandbox = TRY(get_map(*config, "sandbox"));
  split_rules = TRY(get_map(*config, "split-rules"));
  if (const Node* overlap = TRY(find_scalar(*config, "fail-on-overlap"))) {
    warnings.emplace_back(
        "Use of fail-on-overlap within project.conf is deprecated. Consider using fatal-warnings "
        "instead.");
    if (!warning_is_fatal("overlaps") && TRY(as_bool(*overlap, "fail-on-overlap")))
      fatal_warnings.emplace_back("overlaps");
  }
  if (refs_in_files)
    CHECK(refs.load(lookups(), arena, directory + "/project.refs", "project.refs", full.options));
  CHECK(load_shell(*config));
  // A project's own list replaces the built-in one rather than adding to it.
  provenance_attributes = TRY(find_map(*own, "source-provenance-attributes"));
  if (provenance_attributes == nullptr) {
    provenance_attributes = TRY(get_map(*config, "source-provenance-attributes"));
  }
  for (const Node* attributes : early_provenance_) CHECK(check_provenance(*attributes));
  return {};
}

Status Project::check_provenance(const Node& attributes) const {
  for (const Entry& entry : attributes.entries()) {
    if (provenance_attributes != nullptr && !provenance_attributes->contains(entry.key)) {
      return load_error(
          *entry.value, "undefined-source-provenance-attribute",
          "Specified source provenance attribute not defined in project config",
          fmt::format("{}: Unexpected key: {}", provenance(*entry.value).str(), entry.key));
    }
    if (!entry.value->is_scalar()) {
      return invalid_data(
          *entry.value,
          fmt::format("Expected string for the value of provenance attribute '{}'", entry.key));
    }
  }
  return {};
}

Result<Project*> Project::subproject(std::string_view junction_path, const Node& at) {
  ProjectLoader* found = TRY(loader->get_loader(std::string(junction_path), &at));
  return found->project();
}

Status Project::check_version(const Node& config) const {
  const Node* node = TRY(find_scalar(config, "min-version"));
  if (node == nullptr) {
    return invalid_data(config, "Dictionary did not contain expected key 'min-version'",
                        "If you are trying to use a BuildStream 1 project, please install "
                        "BuildStream 1 to use this project.");
  }
  std::int64_t major = 0;
  std::int64_t minor = 0;
  if (!parse_version(node->text, major, minor)) {
    return invalid_data(*node, fmt::format("Malformed version string: {}", node->text),
                        "The min-version must be specified as MAJOR.MINOR with numeric major and "
                        "minor minimum required version numbers");
  }
  if (major != kMajor) {
    return load_error(
        *node, "unsupported-project", "Version mismatch",
        fmt::format("Project requires BuildStream {}, but BuildStream {} is what this implements.\n"
                    "Please use BuildStream {} with this project.",
                    major, kMajor, major));
  }
  if (minor > kMinor) {
    return load_error(*node, "unsupported-project", "Version mismatch",
                      fmt::format("Project requires at least BuildStream {}.{}, but BuildStream "
                                  "{}.{} is what this implements.",
                                  major, minor, kMajor, kMinor));
  }
  return {};
}

bool Project::declared_behind_junction(const Node& mirror) const {
  const Node* kind = mirror.find("kind");
  const PluginDeclaration* declared = kind != nullptr && kind->is_scalar()
                                          ? plugins.find(PluginType::kSourceMirror, kind->text)
                                          : nullptr;
  return declared != nullptr && declared->origin == PluginDeclaration::Origin::kJunction;
}

Result<Mirror> Project::load_mirror(const Node& node, const ProjectPass& pass) {
  const Node* kind_node = node.find("kind");
  const bool core = kind_node == nullptr || !kind_node->is_scalar() || kind_node->text == "default";
  const std::string kind(core ? "default" : kind_node->text);
  const auto files = core ? std::optional<PluginFiles>()
                          : TRY(locate_plugin(*this, PluginType::kSourceMirror, kind));
  if (!files) return read_mirror(node, MirrorPlugin::kNone);
  std::string deprecated;
  if (!files->python.empty())
    deprecated =
        deprecation(*this, PluginType::kSourceMirror, kind,
                    TRY(read_plugin(*this, PluginType::kSourceMirror, kind, *files, node.mark)));
  // Both passes read it; what is to be said of it is said once.
  const auto warn = [&](std::string_view text) {
    if (&pass == &full) warnings.push_back(fmt::format("{}: {}", provenance(node).str(), text));
  };
  if (!deprecated.empty()) warn(deprecated);
  const bool own = files->python.empty() ||
                   files->python.ends_with("/buildstream_plugins/sourcemirrors/simple_mirror.py");
  if (kind == "simple_mirror" && own) return read_mirror(node, MirrorPlugin::kSimple);
  Mirror mirror = TRY(read_mirror(node, MirrorPlugin::kForeign));
  if (context_.asker == nullptr || files->python.empty()) {
    warn(
        fmt::format("Mirror '{}' is not used: source-mirror kind '{}' is not supported, for what "
                    "it does is only said in Python",
                    mirror.name, mirror.foreign_kind));
    return mirror;
  }
  PluginQuestion question{PluginType::kSourceMirror, this, &pass == &first, kind, nullptr, {},
                          provenance(node)};
  Mirror::Plugin& plugin =
      mirror.plugin.emplace(Mirror::Plugin{module_of(lookups(), *files), {}, {}, question.place});
  question.plugin = &plugin.module;
  plugin.packed = question.packed = PluginAsker::pack_mirror(*this, plugin.module, kind, node);
  const PluginAnswer& answer = *TRY(context_.asker->ask(question));
  if (answer.error) {
    Error error = *answer.error;
    if (!error.provenance.known()) error.provenance = question.place;
    return tl::unexpected<Error>(std::move(error));
  }
  plugin.aliases = answer.aliases;
  for (const PluginAnswer::Warning& warning : answer.warnings) {
    std::vector<std::string> said;
    CHECK(add_warning(*this, warning.name, warning.text, warning.detail, question.place, said));
    for (const std::string& text : said) warn(text);
  }
  return mirror;
}

Status Project::load_mirrors(ProjectPass& pass) {
  std::vector<const Node*>& unread = pass.unread_mirrors;
  while (!unread.empty() && (loader != nullptr || !declared_behind_junction(*unread.front()))) {
    const Node& node = *unread.front();
    Mirror mirror = TRY(load_mirror(node, pass));
    unread.erase(unread.begin());
    if (pass.default_mirror.empty()) pass.default_mirror = mirror.name;
    const auto same = std::find_if(pass.mirrors.begin(), pass.mirrors.end(),
                                   [&](const Mirror& m) { return m.name == mirror.name; });
    if (same != pass.mirrors.end()) {
      *same = std::move(mirror);
    } else {
      pass.mirrors.push_back(std::move(mirror));
    }
  }
  return {};
}

Status Project::finish_first() { return load_mirrors(first); }

Status Project::load_urls(const Node& config, ProjectPass& pass) {
  Node* scope = clone(arena, *pass.variables);
  const auto set = [&](std::string_view key, std::string_view value) {
    scope->set(arena, key, make_scalar(arena, arena.copy(value)));
  };
  const std::string& top = context_.toplevel->directory;
  set("project-root", directory);
  set("toplevel-root", top);
  set("project-root-uri", "file://" + url_quote(directory));
  set("toplevel-root-uri", "file://" + url_quote(top));
  Variables resolver = TRY(Variables::create(arena, *scope));

  const Node* overrides = TRY(context_.user->project(name));
  pass.default_mirror = given_mirror_;
  if (pass.default_mirror.empty() && overrides != nullptr)
    pass.default_mirror = TRY(get_string(*overrides, "default-mirror", ""));
  pass.aliases = TRY(find_map(config, "aliases"));

  // The user's list takes the place of the project's, also when it is empty.
  Node* mirrors = nullptr;
  if (overrides != nullptr) {
    if (const Node* given = TRY(find_list(*overrides, "mirrors"))) {
      mirrors = clone(arena, *given);
      mirrors_overridden_ = true;
    }
  }
  if (mirrors == nullptr) mirrors = TRY(find_list(config, "mirrors"));
  if (mirrors != nullptr) {
    CHECK(resolver.expand(*mirrors));
    for (const Node* node : mirrors->items()) pass.unread_mirrors.push_back(node);
  }
  if (pass.aliases != nullptr) CHECK(resolver.expand(*pass.aliases));
  return load_mirrors(pass);
}

Status Project::load_remotes(const Node& config, std::string_view key,
                             std::vector<Remote>& remotes) const {
  const Node* list = TRY(find_list(config, key));
  if (list == nullptr) return {};
  for (const Node* node : list->items()) {
    if (!node->is_map())
      return invalid_data(*node,
                          fmt::format("Value of '{}' is not one of the following: dict.", key));
  }
  for (const Node* node : list->items()) remotes.push_back(TRY(read_remote(*node, directory)));
  return {};
}

Status Project::load_shell(const Node& config) {
  const Node& node = *TRY(get_map(config, "shell"));
  CHECK(validate_keys(node, {"command", "environment", "host-files"}));
  shell.command = TRY(get_strings(node, "command"));
  if (const Node* variables_node = TRY(find_map(node, "environment"))) {
    for (const Entry& entry : variables_node->entries()) {
      shell.environment.emplace_back(
          entry.key, expand_environment(lookups(), TRY(get_string(*variables_node, entry.key))));
    }
  }
  const Node* files = TRY(find_list(node, "host-files"));
  if (files == nullptr) return {};
  for (const Node* file : files->items()) {
    model::ShellConfig::HostFile mount;
    if (file->is_list())
      return invalid_data(*file, "Host file is not specified as a string or a dictionary");
    if (file->is_scalar()) {
      mount.path = file->text;
    } else {
      CHECK(validate_keys(*file, {"path", "host_path", "optional"}));
      mount.path = TRY(get_string(*file, "path"));
      mount.source = TRY(get_string(*file, "host_path", ""));
      mount.optional = TRY(get_bool(*file, "optional", false));
    }
    mount.path = expand_environment(lookups(), mount.path);
    mount.source = mount.source.empty() ? mount.path : expand_environment(lookups(), mount.source);
    shell.host_files.push_back(std::move(mount));
  }
  return {};
}

Result<std::string> Project::checked_path(const Node& node, PathKind kind) const {
  namespace fs = std::filesystem;
  const fs::path path{std::string(node.text)};
  const fs::path full = path.is_absolute() ? path : fs::path(directory) / path;
  // The path is what Python's pathlib makes of it, which drops slashes and dots at the end before
  // it looks.
  fs::path looked_at = full;
  while (looked_at.filename().empty() || looked_at.filename() == ".") {
    if (!looked_at.has_relative_path()) break;
    looked_at = looked_at.parent_path();
  }
  const auto invalid = [&](std::string reason, std::string message) {
    return load_error(node, std::move(reason), std::move(message));
  };
  const Lookups::Resolved resolved = lookups().resolve(looked_at.string());
  if (resolved.is_link) {
    return invalid("proj-path-invalid-kind",
                   fmt::format("Specified path '{}' must not point to symbolic links ", node.text));
  }
  const auto first =
      std::find_if(path.begin(), path.end(), [](const fs::path& part) { return part != "."; });
  if (first != path.end() && *first == "..") {
    return invalid("proj-path-invalid",
                   fmt::format("Specified path '{}' first component must not be '..'", node.text));
  }
  if (resolved.error == std::errc::no_such_file_or_directory) {
    return invalid("missing-file", fmt::format("Specified path '{}' does not exist", node.text));
  }
  if (resolved.error)
    return invalid("proj-path-invalid",
                   fmt::format("Specified path '{}': {}", node.text, resolved.error.message()));
  const std::string& inside = resolved.path;
  if (inside != directory && !inside.starts_with(directory == "/" ? directory : directory + "/")) {
    return invalid("proj-path-invalid",
                   fmt::format("Specified path '{}' must not lead outside of the project directory",
                               node.text));
  }
  if (path.is_absolute()) {
    return invalid(
        "proj-path-invalid",
        fmt::format(
            "Absolute path: '{}' invalid.\nPlease specify a path relative to the project's root.",
            node.text));
  }
  const mode_t type = resolved.type;
  if (S_ISSOCK(type) || S_ISFIFO(type) || S_ISBLK(type) || S_ISCHR(type)) {
    return invalid(
        "proj-path-invalid-kind",
        fmt::format("Specified path '{}' points to an unsupported file kind", node.text));
  }
  if (kind == PathKind::kFile && !S_ISREG(type)) {
    return invalid("proj-path-invalid-kind",
                   fmt::format("Specified path '{}' is not a regular file", node.text));
  }
  if (kind == PathKind::kDirectory && !S_ISDIR(type)) {
    return invalid("proj-path-invalid-kind",
                   fmt::format("Specified path '{}' is not a directory", node.text));
  }
  return std::string(node.text);
}

std::vector<std::string> Project::default_targets() const {
  if (!targets.empty()) return targets;
  std::vector<std::string> found = element_files(lookups(), element_path, ".bst");
  // bst makes "./a.bst" of a file and takes all dots and slashes from its front.
  for (std::string& name : found) name.erase(0, name.find_first_not_of("./"));
  return found;
}

std::vector<std::string> Project::near_elements(const std::string& name) const {
  // The element path may be written "./elements", too.
  const std::string prefix =
      normalize(element_path.substr(std::min(element_path.size(), directory.size() + 1)));
  return loader::near_elements(lookups(), element_path, prefix == "." ? "" : prefix, name);
}

bool Project::warning_is_fatal(std::string_view token) const {
  return std::find(fatal_warnings.begin(), fatal_warnings.end(), token) != fatal_warnings.end();
}

}  // namespace sluice::loader
