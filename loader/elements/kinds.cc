#include "loader/elements/kinds.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/key_fields.h"
#include "loader/project/project.h"

namespace sluice::loader {

namespace {

// ---- manual, all of buildstream-plugins, and whatever else is plainly a BuildElement ----

Status configure_build(ElementInstance& instance, std::string& key) {
  static constexpr std::string_view kSteps[] = {"configure-commands", "build-commands",
                                                "install-commands", "strip-commands"};
  CHECK(validate_keys(*instance.config, kSteps));
  KeyFields fields;
  for (std::string_view step : kSteps)
    fields[std::string(step)] = json_of(TRY(find_strings(*instance.config, step)));
  if (const auto subdirectory = TRY(instance.variables->get("command-subdir"));
      subdirectory && !subdirectory->empty()) {
    fields["command-subdir"] = json_of(*subdirectory);
  }
  instance.directories = {"build-root", "install-root"};
  // Any text but an empty one is true, "False" too.
  if (const auto notparallel = TRY(instance.variables->get("notparallel"));
      notparallel && !notparallel->empty()) {
    fields["notparallel"] = "true";
  }
  Layout layout;
  Layout environment;
  for (const ConfiguredDependency& dependency : instance.dependencies) {
    std::string_view location = "/";
    if (dependency.config != nullptr) {
      CHECK(validate_keys(*dependency.config, {"digest-environment", "location"}));
      location = TRY(get_string(*dependency.config, "location", "/"));
      if (const Node* variable = TRY(find_scalar(*dependency.config, "digest-environment"))) {
        environment[std::string(variable->text)].emplace_back(dependency.path);
      }
    }
    layout[std::string(location)].emplace_back(dependency.path);
  }
  const bool elsewhere = std::any_of(layout.begin(), layout.end(), [](const auto& entry) {
    return entry.first != "/" && !entry.first.empty();
  });
  if (elsewhere) fields["layout"] = json_of(layout);
  // The key is spelled as BuildStream spells it.
  if (!environment.empty()) fields["digest-enviornment"] = json_of(environment);
  write_key(fields, key);
  return {};
}

// ---- script ----

Status configure_script(ElementInstance& instance, std::string& key) {
  CHECK(validate_keys(*instance.config, {"commands", "root-read-only"}));
  const auto commands = TRY(get_strings(*instance.config, "commands"));
  const bool read_only = TRY(get_bool(*instance.config, "root-read-only", false));
  const auto directory_variable = [&](std::string_view name) -> Result<std::string> {
    const auto value = TRY(instance.variables->get(name));
    if (value && !value->empty()) instance.directories.push_back(name);
    return value && !value->empty() ? std::string(*value) : "/";
  };
  Layout layout;
  for (const ConfiguredDependency& dependency : instance.dependencies) {
    std::string_view location = "/";
    if (dependency.config != nullptr) {
      CHECK(validate_keys(*dependency.config, {"location"}));
      location = TRY(get_string(*dependency.config, "location", "/"));
    }
    layout[std::string(location)].emplace_back(dependency.path);
  }
  KeyFields fields;
  fields["commands"] = fmt::format("{{\"commands\":{}}}", json_of(commands));
  fields["cwd"] = json_of(TRY(directory_variable("cwd")));
  fields["install-root"] = json_of(TRY(directory_variable("install-root")));
  fields["layout"] = json_of(layout);
  fields["root-read-only"] = json_of(read_only);
  write_key(fields, key);
  return {};
}

// ---- compose ----

Status configure_compose(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"integrate", "include", "exclude", "include-orphans"}));
  const bool integrate = TRY(get_bool(config, "integrate"));
  auto include = TRY(get_strings(config, "include"));
  auto exclude = TRY(get_strings(config, "exclude"));
  const bool orphans = TRY(get_bool(config, "include-orphans"));
  instance.runs_commands = integrate;
  std::sort(include.begin(), include.end());
  std::sort(exclude.begin(), exclude.end());
  KeyFields fields;
  fields["integrate"] = json_of(integrate);
  fields["include"] = json_of(include);
  fields["orphans"] = json_of(orphans);
  if (!exclude.empty()) fields["exclude"] = json_of(exclude);
  write_key(fields, key);
  return {};
}

// ---- import ----

Status configure_import(ElementInstance& instance, std::string& key) {
  CHECK(validate_keys(*instance.config, {"source", "target"}));
  KeyFields fields;
  fields["source"] = json_of(TRY(get_string(*instance.config, "source")));
  fields["target"] = json_of(TRY(get_string(*instance.config, "target")));
  write_key(fields, key);
  return {};
}

Status preflight_import(const ElementInstance& instance) {
  if (instance.has_sources) return {};
  return fail("element", "", "An import element must have at least one source.",
              provenance(instance.element->mark));
}

// ---- stack ----

Status configure_stack(ElementInstance&, std::string& key) {
  // A constant is the key, since only the dependencies of a stack matter.
  key += '1';
  return {};
}

Status preflight_stack(const ElementInstance& instance) {
  for (const LoadDependency& dependency : instance.element->dependencies) {
    if (dependency.type != (LoadDependency::kBuild | LoadDependency::kRuntime)) {
      return fail(
          "element", "stack-requires-build-and-run",
          "All dependencies of 'stack' elements must be both build and runtime dependencies",
          provenance(instance.element->mark),
          "Make sure you declare all dependencies in the `depends` list, without specifying any "
          "`type`.");
    }
  }
  return {};
}

// ---- filter ----

Status configure_filter(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"include", "exclude", "include-orphans", "pass-integration"}));
  TRY(get_list(config, "include"));
  TRY(get_list(config, "exclude"));
  auto include = TRY(get_strings(config, "include"));
  auto exclude = TRY(get_strings(config, "exclude"));
  const bool orphans = TRY(get_bool(config, "include-orphans"));
  TRY(get_bool(config, "pass-integration", false));
  std::sort(include.begin(), include.end());
  std::sort(exclude.begin(), exclude.end());
  KeyFields fields;
  fields["include"] = json_of(include);
  fields["exclude"] = json_of(exclude);
  fields["orphans"] = json_of(orphans);
  write_key(fields, key);
  return {};
}

Status preflight_filter(const ElementInstance& instance) {
  const LoadDependency* parent = nullptr;
  std::size_t count = 0;
  std::string build;
  std::string runtime;
  for (const LoadDependency& dependency : instance.element->dependencies) {
    if ((dependency.type & LoadDependency::kRuntime) != 0)
      runtime += fmt::format("\n  {}", dependency.path);
    if ((dependency.type & LoadDependency::kBuild) == 0) continue;
    if (count++ == 0) parent = &dependency;
    build += fmt::format("\n  {}", dependency.path);
  }
  if (count != 1) {
    return fail(
        "element", "filter-bdepend-wrong-count",
        fmt::format("A filter element must have exactly 1 build-dependency, actually has {}",
                    count),
        provenance(instance.element->mark), "Full list of build-depends:" + build);
  }
  if ((parent->type & LoadDependency::kRuntime) != 0) {
    return fail("element", "filter-bdepend-also-rdepend",
                "A filter element's build dependency must not also be a runtime dependency",
                provenance(instance.element->mark), "Full list of runtime depends:" + runtime);
  }
  return {};
}

// ---- junction, link: project_loader.h has what they are for ----

Status configure_junction(ElementInstance& instance, std::string& key) {
  CHECK(
      validate_keys(*instance.config, {"path", "options", "overrides", "aliases", "map-aliases"}));
  // A constant is the key of a junction, which has no artifact and is known by its sources.
  key += '1';
  return {};
}

Status configure_link(ElementInstance& instance, std::string& key) {
  CHECK(validate_keys(*instance.config, {"target"}));
  TRY(get_scalar(*instance.config, "target"));
  key += '1';
  return {};
}

constexpr ElementKind kElementKinds[] = {
    {.name = "junction",
     .forbids_runtime_dependencies = true,
     .forbids_build_dependencies = true,
     .configure = configure_junction},
    {.name = "link",
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .forbids_build_dependencies = true,
     .configure = configure_link},
    {.name = "import",
     .runs_commands = false,
     .configure = configure_import,
     .preflight = preflight_import},
    {.name = "stack",
     .runs_commands = false,
     .forbids_sources = true,
     .has_artifact = false,
     .configure = configure_stack,
     .preflight = preflight_stack},
    {.name = "filter",
     .runs_commands = false,
     .strict_rebuild = true,
     .forbids_sources = true,
     .filters = true,
     .artifact_version = 1,
     .configure = configure_filter,
     .preflight = preflight_filter},
    {.name = "manual", .configures_dependencies = true, .configure = configure_build},
    {.name = "script",
     .strict_rebuild = true,
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .configures_dependencies = true,
     .configure = configure_script},
    {.name = "compose",
     .strict_rebuild = true,
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .configure = configure_compose},
    {.name = "autotools",
     .core = false,
     .configures_dependencies = true,
     .configure = configure_build},
    {.name = "cmake", .core = false, .configures_dependencies = true, .configure = configure_build},
    {.name = "make", .core = false, .configures_dependencies = true, .configure = configure_build},
    {.name = "meson", .core = false, .configures_dependencies = true, .configure = configure_build},
    {.name = "pip",
     .core = false,
     .configures_dependencies = true,
     .builds_as = "manual",
     .configure = configure_build},
    {.name = "setuptools",
     .core = false,
     .configures_dependencies = true,
     .builds_as = "manual",
     .configure = configure_build},
};

}  // namespace

const ElementKind* find_element_kind(std::string_view name) {
  for (const ElementKind& kind : kElementKinds) {
    if (kind.name == name) return &kind;
  }
  for (const ElementKind& kind : built_in_community_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

ElementKind plugin_element_kind(const PluginClass& plugin, std::string_view name,
                                std::string_view text) {
  ElementKind kind;
  kind.name = name;
  kind.core = false;
  const bool script = plugin.base == "ScriptElement";
  const auto flag = [&](std::string_view attribute, bool inherited) {
    return inherited ? !plugin.is(attribute, "False") : plugin.is(attribute, "True");
  };
  kind.runs_commands = flag("BST_RUN_COMMANDS", true);
  kind.strict_rebuild = flag("BST_STRICT_REBUILD", script);
  kind.forbids_sources = flag("BST_FORBID_SOURCES", script);
  kind.forbids_build_dependencies = flag("BST_FORBID_BDEPENDS", false);
  kind.forbids_runtime_dependencies = flag("BST_FORBID_RDEPENDS", script);
  kind.has_artifact = flag("BST_ELEMENT_HAS_ARTIFACT", true);
  kind.artifact_version = plugin.number("BST_ARTIFACT_VERSION").value_or(0);
  // A class that descends from one that isn't seen may have its configure_dependencies() from
  // there.
  const bool has_none = script || plugin.base == "Element";
  kind.configures_dependencies = !has_none || plugin.methods.contains("configure_dependencies");
  if (plugin.plain && plugin.base == "BuildElement") {
    kind.configure = configure_build;
    kind.builds_as = "manual";
  }
  for (const KnownElement& known : community_element_kinds()) {
    if (known.name == name && plugin.base == "Element" &&
        known.configure_fingerprint == plugin.fingerprint("configure") &&
        known.key_fingerprint == plugin.fingerprint("get_unique_key")) {
      kind.configure = known.configure;
    }
  }
  for (const KnownElementText& known : community_element_texts()) {
    if (known.name != name || known.fingerprint != text) continue;
    kind.configure = known.configure;
    kind.builds_as = known.builds_as;
    kind.sees_neighbours = known.sees_neighbours;
    kind.lists_sources = known.lists_sources;
    // A text may get the method from a class of BuildStream's.
    kind.configures_dependencies = plugin.methods.contains("configure_dependencies");
  }
  return kind;
}

}  // namespace sluice::loader
