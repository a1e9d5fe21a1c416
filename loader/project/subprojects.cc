#include "loader/project/subprojects.h"

#include <algorithm>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "loader/elements/cache_keys.h"
#include "loader/project/plugins.h"
#include "loader/yaml.h"
#include "model/source_kinds.h"
#include "project/lookups.h"

namespace sluice::loader {

namespace fs = std::filesystem;

namespace {

// The most projects behind each other: a junction may lead back to its own project, which
// BuildStream ends in a RecursionError.
constexpr std::ptrdiff_t kMaxNesting = 64;

Provenance provenance_of(const Node* at) { return at != nullptr ? provenance(*at) : Provenance{}; }

Result<std::unique_ptr<Junction>> read_junction(const LoadElement& element, const Node& config,
                                                const Node* at) {
  auto junction = std::make_unique<Junction>();
  junction->project = element.project;
  junction->name = element.name;
  junction->full_name = element.full_name();
  if (at != nullptr) junction->loaded_from = at->mark;
  junction->provenance = provenance(element.mark);
  junction->path = TRY(get_string(config, "path", ""));
  junction->options = TRY(find_map(config, "options"));
  if (const Node* overrides = TRY(find_map(config, "overrides"))) {
    for (const Entry& entry : overrides->entries()) {
      const Node& target = *TRY(get_scalar(*overrides, entry.key));
      if (target.text == element.name) {
        return fail("element", "override-junction-with-self",
                    fmt::format("Attempt to override subproject junction '{}' with the overriding "
                                "junction '{}' itself",
                                entry.key, target.text),
                    provenance(target));
      }
      junction->overrides.emplace_back(entry.key, &target);
    }
  }
  junction->aliases = TRY(find_map(config, "aliases"));
  if (config.contains("map-aliases")) {
    static constexpr std::string_view kStrategies[] = {"none", "identity"};
    junction->map_identity = TRY(get_enum(config, "map-aliases", kStrategies)) == "identity";
  }
  return junction;
}

}  // namespace

Result<const Node*> Subprojects::link_target(LoadElement& link) {
  const ResolvedElement resolved = TRY(resolver_.resolve_origin(link));
  return TRY(get_scalar(*resolved.first_pass_config, "target"));
}

Result<std::unique_ptr<Project>> Subprojects::open(LoadIndex index, const Node* at) {
  CHECK(load_plugin_projects(graph_.at(index)));
  const ResolvedElement resolved = TRY(resolver_.resolve_origin(graph_.at(index)));
  if (const Obstacle* obstacle = resolved.obstacle(model::Obstacle::To::kKey))
    return fail("plugin", "unsupported-plugin", obstacle->why, obstacle->at);
  const LoadElement& element = graph_.at(index);
  if (const Node* sources = element.project->provenance_attributes == nullptr
                                ? element.node->find("sources")
                                : nullptr) {
    for (const Node* source : sources->items()) {
      if (const Node* attributes = source->find("provenance"))
        element.project->check_provenance_later(*attributes);
    }
  }
  const std::string full_name = element.full_name();
  if (std::count(full_name.begin(), full_name.end(), ':') >= kMaxNesting) {
    return fail("load", "circular-dependency",
                fmt::format("Junctions are nested more than {} deep: the project behind '{}' seems "
                            "to contain itself",
                            kMaxNesting, element.name),
                provenance_of(at));
  }
  auto junction = TRY(read_junction(element, *resolved.first_pass_config, at));
  if (!resolved.sources_resolved) {
    return fail("load", "subproject-inconsistent",
                fmt::format("Subproject has no ref for junction: {}", element.name),
                provenance_of(at),
                fmt::format("Try tracking the junction element with `source track {}`",
                            element.full_name()));
  }
  const std::string base = TRY(directory_of(index, resolved, at));
  std::string directory = normalize(join(base, junction->path));
  // The directory is resolved, because paths are checked against where the project really is.
  if (const Lookups::Resolved real = element.project->lookups().resolve(directory); !real.error)
    directory = real.path;
  const std::string path = junction->path;
  auto project = Project::load(directory, context_, std::move(junction), {}, "");
  if (!project && project.error().reason == "missing-project-conf") {
    std::string message = fmt::format(
        "Could not find the project.conf file in the project referred to by junction element '{}'.",
        element.name);
    if (!path.empty())
      message += fmt::format(" Was expecting it at path '{}' in the junction's source.", path);
    return fail("load", "invalid-junction", message, provenance_of(at));
  }
  return project;
}

Result<std::string> Subprojects::directory_of(LoadIndex index, const ResolvedElement& resolved,
                                              const Node* at) {
  const LoadElement& element = graph_.at(index);
  const std::vector<model::Source>& sources = resolved.body->sources;
  if (sources.size() == 1 && model::traits(sources[0]).imported) return sources[0].path;

  const std::string above =
      fmt::format("{}/.bst/staged-junctions/{}", element.project->directory, element.name);
  const std::string directory = fmt::format("{}/{}", above, key_without_dependencies(resolved));
  if (sources.empty() || path_exists(directory)) return directory;
  // Renaming makes the directory whole or not at all, also when another process does the same.
  std::error_code error;
  fs::create_directories(above, error);
  if (error) return fail_errno(error.value(), above);
  std::string temporary = above + "/.staging-XXXXXX";
  if (::mkdtemp(temporary.data()) == nullptr) return fail_errno(errno, temporary);
  const std::string tree =
      temporary + "/tree";  // made by mkdir, to have the mode that the umask gives
  const auto remove = [&] {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
  };
  Result<bool> staged = false;
  if (stage_)
    staged = ::mkdir(tree.c_str(), 0777) == 0 ? stage_(resolved, tree)
                                              : Result<bool>(fail_errno(errno, tree));
  if (!staged) {
    remove();
    return forward(staged);
  }
  if (!*staged) {
    remove();
    needed_ = Needed{index, provenance_of(at)};
    return fail("load", "subproject-not-fetched",
                fmt::format("The project behind junction {} isn't fetched", element.full_name()),
                provenance_of(at));
  }
  fs::rename(tree, directory, error);
  remove();
  if (error && !path_exists(directory)) return fail_errno(error.value(), directory);
  return directory;
}

}  // namespace sluice::loader
