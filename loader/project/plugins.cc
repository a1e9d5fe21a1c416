#include "loader/project/plugins.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/sha256.h"
#include "base/try.h"
#include "loader/elements/kinds.h"
#include "loader/project/project.h"
#include "loader/python/python_packages.h"
#include "loader/python/python_version.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "sources/key.h"

namespace sluice::loader {

namespace {

// The packages whose plugins are built in, all of them or those that are known.
constexpr sources::Package kPackages[] = {sources::Package::kPlugins, sources::Package::kCommunity};

// The package of that name; kCore when its plugins aren't built in.
sources::Package built_in_package(std::string_view name) {
  for (const sources::Package package : kPackages) {
    if (normal_package_name(name) == sources::package_name(package).name) return package;
  }
  return sources::Package::kCore;
}

bool is_built_in(sources::Package package, PluginType type, std::string_view kind) {
  if (type == PluginType::kSource) {
    const sources::KeyRow* found = sources::find_key(kind);
    return found != nullptr && found->package == package;
  }
  if (type == PluginType::kElement) {
    const ElementKind* found = find_element_kind(kind);
    return found != nullptr && !found->core &&
           found->community == (package == sources::Package::kCommunity);
  }
  return package == sources::Package::kPlugins && kind == "simple_mirror";
}

std::string defaults_beside(Lookups& lookups, const std::string& python) {
  std::string path = python.substr(0, python.size() - std::string_view(".py").size()) + ".yaml";
  return lookups.exists(path) ? path : std::string();
}

Result<std::optional<PluginFiles>> locate_local(Project& project, const PluginDeclaration& declared,
                                                std::string_view kind) {
  Lookups& lookups = project.lookups();
  const std::string directory = join(project.directory, declared.where->text);
  PluginFiles files;
  files.python = fmt::format("{}/{}.py", directory, kind);
  if (lookups.resolve(files.python).type == 0) {
    std::string package = fmt::format("{}/{}/__init__.py", directory, kind);
    if (lookups.exists(package)) files.python = std::move(package);
  }
  const std::string defaults = fmt::format("{}/{}.yaml", directory, kind);
  if (lookups.exists(defaults)) files.defaults = defaults;
  files.display = fmt::format("project directory: {}", declared.where->text);
  return std::optional(std::move(files));
}

Result<std::optional<PluginFiles>> locate_pip(Lookups& lookups, const PluginDeclaration& declared,
                                              PluginType type, std::string_view kind) {
  const Provenance place = provenance(*declared.node);
  const std::string_view wanted = declared.where->text;
  const auto requirement = parse_python_requirement(wanted);
  if (!requirement) {
    return fail("plugin", "package-malformed-requirement",
                fmt::format("Malformed package-name '{}' encountered", wanted), place);
  }
  PythonPackages packages(lookups);
  const auto package = packages.find(requirement->name);
  const sources::Package ours = built_in_package(requirement->name);
  if (!package && ours == sources::Package::kCore) {
    return fail("plugin", "package-not-found",
                fmt::format("Failed to load {} plugin '{}': python3 has no package '{}'",
                            noun(type), kind, requirement->name),
                place);
  }
  const std::string_view version =
      package ? std::string_view(package->version) : sources::package_name(ours).version;
  if (!requirement->contains(version)) {
    return fail(
        "plugin", "package-version-conflict",
        fmt::format("Version conflict encountered while loading {} plugin '{}'", noun(type), kind),
        place,
        fmt::format("{} {} is {} but {} is required", requirement->name, version,
                    package ? "installed" : "built in", wanted));
  }
  PluginFiles files;
  if (package) {
    const std::string group = fmt::format(
        "buildstream.plugins.{}s", type == PluginType::kSourceMirror ? "sourcemirror" : noun(type));
    auto python = packages.entry_point(*package, group, kind);
    if (!python) {
      python.error().provenance = place;
      return forward(python);
    }
    if (*python) {
      files.python = std::move(**python);
      files.in_package = true;
      files.defaults = defaults_beside(lookups, files.python);
      files.display = fmt::format("python package '{}' version {} at: {}", package->name,
                                  package->version, parent(files.python));
      return std::optional(std::move(files));
    }
  } else if (is_built_in(ours, type, kind)) {
    files.display = fmt::format("built in, as of python package '{}' version {}",
                                sources::package_name(ours).name, version);
    return std::optional(std::move(files));
  }
  return fail("plugin", "plugin-not-found",
              fmt::format("Pip package {} does not contain a {} plugin named '{}'", wanted,
                          noun(type), kind),
              place);
}

// The error for a plugin that a subproject should give, made of the error there.
tl::unexpected<Error> in_subproject(Error error, const PluginDeclaration& declared, PluginType type,
                                    std::string_view kind, const Project& below) {
  if (error.domain != "plugin") return tl::unexpected<Error>(std::move(error));
  return fail(
      "plugin", "junction-plugin-load-error",
      fmt::format("Error loading {} plugin '{}' from project '{}' referred to by junction '{}': {}",
                  noun(type), kind, below.name, declared.where->text, error.message),
      provenance(*declared.node), std::move(error.detail));
}

// Loads the projects that a kind comes from, one behind the other.
Status load_projects(Project& project, PluginType type, std::string_view kind) {
  const PluginDeclaration* declared = project.plugins.find(type, kind);
  if (declared == nullptr || declared->origin != PluginDeclaration::Origin::kJunction) return {};
  Project& below = *TRY(project.subproject(declared->where->text, *declared->node));
  auto loaded = load_projects(below, type, kind);
  if (!loaded) return in_subproject(std::move(loaded.error()), *declared, type, kind, below);
  return {};
}

Result<std::optional<PluginFiles>> locate_junction(Project& project,
                                                   const PluginDeclaration& declared,
                                                   PluginType type, std::string_view kind) {
  const std::string_view junction = declared.where->text;
  Project& below = *TRY(project.subproject(junction, *declared.node));
  auto found = locate_plugin(below, type, kind);
  if (!found) return in_subproject(std::move(found.error()), declared, type, kind, below);
  if (!*found) {
    return fail(
        "plugin", "junction-plugin-not-found",
        fmt::format(
            "project '{}' referred to by junction '{}' does not declare a {} plugin named: '{}'",
            below.name, junction, noun(type), kind),
        provenance(*declared.node));
  }
  (*found)->display = fmt::format("junction: {} ({})",
                                  below.junction ? below.junction->full_name : "toplevel project",
                                  (*found)->display);
  return found;
}

}  // namespace

std::string_view noun(PluginType type) {
  return type == PluginType::kElement  ? "element"
         : type == PluginType::kSource ? "source"
                                       : "source-mirror";
}

Status PluginTable::load(const Project& project, const Node& origins) {
  using Origin = PluginDeclaration::Origin;
  static constexpr std::string_view kOrigins[] = {"local", "pip", "junction"};
  struct Group {
    std::string_view key;
    PluginType type;
  };
  static constexpr Group kGroups[] = {{"elements", PluginType::kElement},
                                      {"sources", PluginType::kSource},
                                      {"source-mirrors", PluginType::kSourceMirror}};
  for (const Node* origin : origins.items()) {
    if (!origin->is_map())
      return invalid_data(*origin, "Plugin origin is not specified as a dictionary");
    const std::string_view type = TRY(get_enum(*origin, "origin", kOrigins));
    const std::string_view key = type == "local" ? "path"
                                 : type == "pip" ? "package-name"
                                                 : "junction";
    CHECK(validate_keys(
        *origin, {key, "origin", "sources", "elements", "source-mirrors", "allow-deprecated"}));
    PluginDeclaration declaration;
    declaration.origin = type == "local" ? Origin::kLocal
                         : type == "pip" ? Origin::kPip
                                         : Origin::kJunction;
    declaration.node = origin;
    declaration.where = TRY(get_scalar(*origin, key));
    if (type == "local")
      TRY(project.checked_path(*declaration.where, Project::PathKind::kDirectory));
    const bool allow_deprecated = TRY(get_bool(*origin, "allow-deprecated", false));
    for (const Group& group : kGroups) {
      const Node* list = TRY(find_list(*origin, group.key));
      if (list == nullptr) continue;
      Kinds& kinds = kinds_[static_cast<int>(group.type)];
      for (const Node* item : list->items()) {
        std::string_view kind = item->text;
        declaration.item = item;
        declaration.allow_deprecated = allow_deprecated;
        if (item->is_map()) {
          CHECK(validate_keys(*item, {"kind", "allow-deprecated"}));
          kind = TRY(get_string(*item, "kind"));
          declaration.allow_deprecated = TRY(get_bool(*item, "allow-deprecated", allow_deprecated));
        } else if (item->is_list()) {
          return invalid_data(*item, "Plugin is not specified as a string or a dictionary");
        }
        // The last declaration of a name within an origin wins.
        const auto [found, inserted] = kinds.emplace(kind, declaration);
        if (!inserted && found->second.node != origin) {
          return fail("plugin", "duplicate-plugin",
                      fmt::format("More than one {} plugin registered as kind '{}'",
                                  noun(group.type), kind),
                      provenance(*item));
        }
        found->second = declaration;
      }
    }
  }
  return {};
}

const PluginDeclaration* PluginTable::find(PluginType type, std::string_view kind) const {
  const Kinds& kinds = kinds_[static_cast<int>(type)];
  const auto found = kinds.find(kind);
  return found == kinds.end() ? nullptr : &found->second;
}

Result<std::optional<PluginFiles>> locate_plugin(Project& project, PluginType type,
                                                 std::string_view kind) {
  const PluginDeclaration* declared = project.plugins.find(type, kind);
  if (declared == nullptr) return std::optional<PluginFiles>();
  // Directories are called by kinds: none leads out of where it is.
  if (kind.find('.') != std::string_view::npos)
    return fail("plugin", "",
                fmt::format("Failed to load {} plugin '{}': Plugin names cannot contain dots.",
                            noun(type), kind));
  switch (declared->origin) {
    case PluginDeclaration::Origin::kLocal: return locate_local(project, *declared, kind);
    case PluginDeclaration::Origin::kPip:
      return locate_pip(project.lookups(), *declared, type, kind);
    case PluginDeclaration::Origin::kJunction: break;
  }
  return locate_junction(project, *declared, type, kind);
}

// Where Python finds a plugin: a package's by its dotted name, below the directory of its outermost
// package; a project's as a file.
PluginModule module_of(Lookups& lookups, const PluginFiles& files) {
  PluginModule module{files.python, parent(files.python), {}};
  std::string stem = files.python.substr(module.root.size() + 1);
  if (stem == "__init__.py") {
    stem = module.root.substr(module.root.rfind('/') + 1);
    module.root = parent(module.root);
  } else {
    stem.resize(stem.size() - std::string_view(".py").size());
  }
  module.name = stem;
  while (files.in_package && lookups.exists(module.root + "/__init__.py")) {
    module.name = fmt::format("{}.{}", module.root.substr(module.root.rfind('/') + 1), module.name);
    module.root = parent(module.root);
  }
  return module;
}

std::string not_supported(PluginType type, std::string_view kind, const PluginFiles& files) {
  return fmt::format(
      "{} kind '{}' is not supported: how it behaves is only said in Python, in {} ({})",
      type == PluginType::kElement ? "Element" : "Source", kind, files.python, files.display);
}

std::string deprecation(const Project& project, PluginType type, std::string_view kind,
                        const PluginClass& plugin) {
  const PluginDeclaration* declared = project.plugins.find(type, kind);
  if (!plugin.flag("BST_PLUGIN_DEPRECATED") || declared == nullptr || declared->allow_deprecated)
    return {};
  const auto message = plugin.string("BST_PLUGIN_DEPRECATION_MESSAGE");
  return fmt::format("Using deprecated plugin '{}'{}{}", kind, message ? "\n    " : "",
                     message.value_or(""));
}

Status load_plugin_projects(const LoadElement& element) {
  // The project is looked up first: loading more elements may move this one.
  Project* const project = element.project;
  std::vector<std::pair<PluginType, std::string>> kinds = {{PluginType::kElement, element.kind}};
  for (const std::string& kind : element.source_kinds->kinds)
    kinds.emplace_back(PluginType::kSource, kind);
  for (const auto& [type, kind] : kinds) CHECK(load_projects(*project, type, kind));
  return {};
}

namespace {

// The file of a module that is imported in `file`; "" when it isn't of the same package.
std::string module_file(Lookups& lookups, const std::string& file, std::string_view module) {
  std::string directory = parent(file);
  std::string_view rest = module;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    for (; rest.starts_with('.'); rest.remove_prefix(1)) directory = parent(directory);
  } else {
    // The module's first name is that of a directory above.
    const std::string top = fmt::format("/{}/", rest.substr(0, rest.find('.')));
    const std::size_t at = file.rfind(top);
    if (at == std::string::npos) return "";
    directory = file.substr(0, at);
  }
  if (rest.empty()) return "";
  std::string path = directory + "/" + std::string(rest);
  std::replace(path.begin() + static_cast<std::ptrdiff_t>(directory.size()), path.end(), '.', '/');
  if (lookups.exists(path + ".py")) return path + ".py";
  path += "/__init__.py";
  return lookups.exists(path) ? path : "";
}

}  // namespace

Result<std::string> plugin_fingerprint(Lookups& lookups, const std::string& file) {
  std::map<std::string, std::string>
      code;  // text of modules, by the name under which they were first imported
  std::set<std::string> seen = {file};
  std::vector<std::pair<std::string, std::string>> open = {{"", file}};
  while (!open.empty()) {
    const auto [name, path] = open.back();
    open.pop_back();
    Arena arena;
    const std::string_view text = TRY(lookups.read(arena, path));
    code[name] = python_code(text);
    for (const std::string& module : python_imports(text)) {
      const std::string imported = module_file(lookups, path, module);
      if (!imported.empty() && seen.insert(imported).second)
        open.emplace_back(module.substr(module.rfind('.') + 1), imported);
    }
  }
  Sha256 hash;
  for (const auto& [name, text] : code)
    hash.update(fmt::format("{}\n{}\n{}", name, text.size(), text));
  return hash.hex();
}

Result<PluginClass> read_plugin(Project& project, PluginType type, std::string_view kind,
                                const PluginFiles& files, const Mark& mark) {
  if (!project.lookups().exists(files.python)) {
    return fail("plugin", "",
                fmt::format("Failed to load {} plugin '{}': there is no file {}.py ({})",
                            noun(type), kind, kind, files.display),
                provenance(mark));
  }
  const std::string_view text = TRY(project.lookups().read(project.arena, files.python));
  auto plugin = read_plugin_class(text, noun(type), kind);
  if (!plugin) plugin.error().provenance = provenance(mark);
  return plugin;
}

}  // namespace sluice::loader
