#include "loader/project/project_loader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/suggest.h"
#include "base/try.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "project/packed_tree.h"
#include "project/project_file.h"
#include "project/read_ahead.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kElementKeys[] = {"kind",
                                             "depends",
                                             "sources",
                                             "sandbox",
                                             "variables",
                                             "environment",
                                             "environment-nocache",
                                             "config",
                                             "public",
                                             "description",
                                             "build-depends",
                                             "runtime-depends"};

// The depth to which links, overrides and junctions are followed, by recursion. Nobody nests them
// like this but in a circle.
constexpr unsigned kDeepest = 200;

Status check_name(std::string_view name, const Node* at) {
  const Provenance where = at != nullptr ? provenance(*at) : Provenance{};
  if (!name.ends_with(".bst")) {
    return fail("load", "bad-element-suffix",
                fmt::format("Element '{}' does not have expected file extension `.bst`", name),
                where);
  }
  for (const char c : name) {
    const auto code = static_cast<unsigned char>(c);
    if (code <= 31 || code >= 127 ||
        std::string_view("<>\"|?*").find(c) != std::string_view::npos) {
      return fail("load", "bad-characters-in-name",
                  fmt::format("Element '{}' has invalid characters.", name), where);
    }
  }
  return {};
}

Provenance provenance_of(const Node* at) { return at != nullptr ? provenance(*at) : Provenance{}; }

}  // namespace

ProjectLoader::ProjectLoader(Graph& graph, Project& project, ProjectLoader* parent)
    : graph_(graph), project_(&project), parent_(parent) {
  project.loader = this;
}

std::string ProjectLoader::describe() const {
  const Junction* junction = project_->junction.get();
  if (junction == nullptr) return project_->name + " (toplevel)";
  if (!junction->loaded_from) return fmt::format("{} ({})", project_->name, junction->full_name);
  return fmt::format("{} ({}): {}", project_->name, junction->full_name,
                     provenance(*junction->loaded_from).str());
}

Result<ProjectLoader::Place> ProjectLoader::parse_name(const std::string& name, const Node* at,
                                                       bool load) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string::npos) return Place{this, normalize(name)};
  return Place{TRY(get_loader(name.substr(0, colon), at, load)),
               normalize(std::string_view(name).substr(colon + 1))};
}

Result<ProjectLoader*> ProjectLoader::get_loader(const std::string& path, const Node* at,
                                                 bool load) {
  const bool watched = load && at != nullptr;
  if (const auto searching = searching_.find(path); searching != searching_.end() && load) {
    std::string detail;
    if (searching->second != at)
      detail = fmt::format("Already searching for '{}' at: {}", path,
                           provenance(*searching->second).str());
    return fail("load", "circular-reference",
                fmt::format("Circular reference while searching for '{}'", path), provenance_of(at),
                detail);
  }
  if (watched) searching_[path] = at;
  ProjectLoader* loader = this;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    loader = TRY(loader->get_own_loader(path.substr(begin, end - begin), at, load));
    if (loader == nullptr) return nullptr;
    begin = end + 1;
  }
  if (watched) searching_.erase(path);
  return loader;
}

Result<ProjectLoader*> ProjectLoader::get_own_loader(const std::string& wanted, const Node* at,
                                                     bool load) {
  const std::string name = normalize(wanted);
  if (const auto found = loaders_.find(name); found != loaders_.end()) return found->second;
  if (ProjectLoader* loader = TRY(find_override_loader(name))) {
    loaders_[name] = loader;
    return loader;
  }
  TRY(load_file(name, at, load));
  const LoadIndex index = elements_.at(name);
  if (const Node* target = graph_.at(index).link_target) {
    const Place place = TRY(parse_name(std::string(target->text), target, load));
    if (place.loader == nullptr) return nullptr;
    return place.loader->get_loader(place.name, target, load);
  }
  if (!load) return nullptr;
  return open_junction(index, at);
}

Result<ProjectLoader*> ProjectLoader::open_junction(LoadIndex index, const Node* at) {
  const LoadElement& element = graph_.at(index);
  const std::string name = element.name;
  if (element.kind != "junction") {
    return fail("load", "invalid-data",
                fmt::format("{}: Expected junction but element kind is {}", name, element.kind),
                provenance_of(at));
  }
  if (!element.dependencies.empty()) {
    return fail("load", "invalid-junction", "Dependencies are forbidden for 'junction' elements",
                provenance(element.dependencies.front().mark));
  }
  std::unique_ptr<Project> project = TRY(graph_.first_pass().open(index, at));
  ProjectLoader& loader = graph_.add_loader(std::move(project), *this);
  loaders_[name] = &loader;
  CHECK(loader.project()->finish_first());
  // Overrides are read here because they may name links, and those of this project are known only
  // now.
  for (ProjectLoader* each = &loader; each->parent_ != nullptr; each = each->parent_)
    CHECK(each->read_overrides());
  return &loader;
}

Status ProjectLoader::missing(const std::string& name, const Node* at) const {
  const std::string detail = did_you_mean(project_->near_elements(name));
  if (project_->junction != nullptr) {
    return fail(
        "load", "missing-file",
        fmt::format("Could not find element '{}' in project referred to by junction element '{}'",
                    name, project_->junction->name),
        provenance_of(at), detail);
  }
  return fail("load", "missing-file",
              fmt::format("Could not find element '{}' in elements directory '{}'", name,
                          project_->element_path),
              provenance_of(at), detail);
}

Result<Node*> ProjectLoader::read_tree(const std::string& name, Arena& arena) {
  const std::string path = join(project_->element_path, name);
  Lookups& lookups = project_->lookups();
  if (lookups.ahead() != nullptr) {
    if (const auto parsed = lookups.ahead()->take(path)) {
      parsed->file->display = project_->display(name);
      lookups.note(parsed->lookup);
      return unpack_tree(arena, arena.copy(parsed->tree), parsed->file, OtherFiles::kRefused);
    }
  }
  std::string sha256;
  const std::string_view text = TRY(lookups.read(arena, path, &sha256));
  const File& file = graph_.add_file({"", project_->display(name)});
  Node* root = TRY(parse_yaml_kept(lookups.parsed(), arena, file, text, sha256));
  if (lookups.ahead() != nullptr) lookups.ahead()->expect(project_->element_path, *root);
  return root;
}

Result<std::optional<LoadIndex>> ProjectLoader::read_file(const std::string& name, const Node* at,
                                                          bool only_first_pass) {
  CHECK(check_name(name, at));
  LoadElement element;
  element.arena = graph_.arena();
  Arena& arena = *element.arena;
  auto loaded = read_tree(name, arena);
  if (!loaded) {
    if (loaded.error().reason == "missing-file") CHECK(missing(name, at));
    if (!loaded.error().provenance.known())
      loaded.error().provenance = {project_->display(name), 0, 0};
    return forward(loaded);
  }
  Node& node = **loaded;
  element.kind = TRY(get_string(node, "kind"));
  element.first_pass = element.kind == "junction" || element.kind == "link";
  if (element.first_pass) {
    CHECK(project_->first.options.process(arena, node));
  } else if (only_first_pass) {
    return std::nullopt;
  } else {
    CHECK(project_->complete());
    CHECK(project_->element_includes.process(arena, node, Includes::Mode::kElement));
  }
  CHECK(validate_keys(node, kElementKeys));
  element.name = name;
  element.kind = TRY(get_string(node, "kind"));
  CHECK(get_string(node, "description", ""));
  element.project = project_;
  element.node = &node;
  element.mark = node.mark;
  element.source_kinds = graph_.source_kinds(node);
  if (element.kind == "link") {
    element.link_target = TRY(graph_.first_pass().link_target(element));
    if (!TRY(take_dependencies(arena, node)).empty()) {
      return load_error(node, "link-forbidden-dependencies",
                        "Dependencies are forbidden for 'link' elements");
    }
  }
  const Node* target = element.link_target;
  const LoadIndex index = graph_.add(std::move(element));
  elements_[name] = index;
  if (target == nullptr) return index;

  std::string link = name;
  std::string leads_to(target->text);
  resolve_link(link, leads_to);
  for (ProjectLoader* loader = this; loader->parent_ != nullptr; loader = loader->parent_) {
    const std::string& junction = loader->project_->junction->name;
    link = fmt::format("{}:{}", junction, link);
    leads_to = fmt::format("{}:{}", junction, leads_to);
    loader->parent_->resolve_link(link, leads_to);
  }
  return index;
}

void ProjectLoader::resolve_link(const std::string& link, const std::string& target) {
  const auto known = std::find_if(links_.begin(), links_.end(),
                                  [&](const auto& entry) { return entry.first == link; });
  if (known != links_.end()) {
    known->second = target;
  } else {
    links_.emplace_back(link, target);
  }
  for (auto& entry : links_) {
    if (expand_link(entry.second) == link) entry.second = target;
  }
}

std::string ProjectLoader::expand_link(const std::string& path) const {
  for (const auto& [link, target] : links_) {
    if (path.starts_with(link)) return target + path.substr(link.size());
  }
  return path;
}

Result<std::optional<LoadIndex>> ProjectLoader::load_one(const std::string& wanted, const Node* at,
                                                         bool load) {
  const std::string name = normalize(wanted);
  const auto known = elements_.find(name);
  const LoadIndex index =
      known != elements_.end() ? known->second : *TRY(read_file(name, at, false));
  if (graph_.at(index).expanded) return index;
  if (const auto overriding = TRY(find_override_element(name))) return overriding;
  if (const Node* target = graph_.at(index).link_target) {
    const Place place = TRY(parse_name(std::string(target->text), target, load));
    if (place.loader == nullptr) return std::nullopt;
    return place.loader->load_file(place.name, target, load);
  }
  return index;
}

Result<std::optional<LoadIndex>> ProjectLoader::load_file(const std::string& name, const Node* at,
                                                          bool load) {
  const Graph::Deeper deeper(graph_);
  if (deeper.depth() > kDeepest) {
    return fail("load", "circular-reference",
                fmt::format("Links, overrides or junctions lead in a circle at '{}'", name),
                provenance_of(at));
  }
  const auto top = TRY(load_one(name, at, load));
  if (!top || graph_.at(*top).expanded) return top;

  // An element whose dependencies are being loaded, and how far that is.
  struct Step {
    LoadIndex element;
    std::vector<WantedDependency> wanted;
    std::size_t next = 0;
    std::unordered_map<LoadIndex, std::size_t> present;  // position among its dependencies
  };
  std::vector<Step> steps;
  const auto expand = [&](LoadIndex index) -> Status {
    graph_.at(index).expanded = true;
    LoadElement& element = graph_.at(index);
    steps.push_back({index, TRY(take_dependencies(*element.arena, *element.node)), 0, {}});
    element.dependencies.reserve(steps.back().wanted.size());
    return {};
  };
  CHECK(expand(*top));
  while (!steps.empty()) {
    if (steps.back().next == steps.back().wanted.size()) {
      graph_.pack(graph_.at(steps.back().element));
      steps.pop_back();
      continue;
    }
    // The owner is found again by its index, since expand() moves the steps.
    const std::size_t owner = steps.size() - 1;
    WantedDependency wanted = std::move(steps[owner].wanted[steps[owner].next++]);
    const Node& from = *wanted.node;
    std::optional<LoadIndex> found;
    if (!wanted.junction.empty()) {
      ProjectLoader* loader = TRY(get_loader(std::string(wanted.junction), &from));
      found = TRY(loader->load_file(std::string(wanted.name), &from, true));
    } else {
      found = TRY(load_one(std::string(wanted.name), &from, load));
      if (!found) return std::nullopt;
      if (!graph_.at(*found).expanded) {
        CHECK(expand(*found));
        if (graph_.at(*found).kind == "junction")
          return invalid_data(from, "Cannot depend on junction");
      }
    }

    Step& step = steps[owner];
    wanted.dependency.element = *found;
    // The name is copied, for it lives longer than the tree that it comes from.
    const auto known = elements_.find(std::string(wanted.dependency.path));
    wanted.dependency.path = known != elements_.end() ? std::string_view(known->first)
                                                      : graph_.keep(wanted.dependency.path);
    std::vector<LoadDependency>& dependencies = graph_.at(step.element).dependencies;
    const auto [present, inserted] = step.present.emplace(*found, dependencies.size());
    if (inserted) {
      dependencies.push_back(std::move(wanted.dependency));
    } else {
      merge(dependencies[present->second], std::move(wanted.dependency));
    }
  }
  return top;
}

const Node* ProjectLoader::find_local_override(const std::string& path) const {
  if (project_->junction == nullptr) return nullptr;
  for (const auto& [name, target] : project_->junction->overrides) {
    if (name == path) return target;
  }
  for (const auto& [name, target] : project_->junction->overrides) {
    if (expand_link(name) == path) return target;
  }
  return nullptr;
}

std::vector<ProjectLoader::Override> ProjectLoader::find_overrides(const std::string& name) const {
  std::vector<Override> found;
  std::string path = name;
  for (const ProjectLoader* loader = this; loader->parent_ != nullptr; loader = loader->parent_) {
    if (const Node* target = loader->find_local_override(path))
      found.push_back({loader->parent_, target});
    path = fmt::format("{}:{}", loader->project_->junction->name, path);
  }
  return found;
}

Result<ProjectLoader*> ProjectLoader::find_override_loader(const std::string& name) {
  std::vector<Override> overrides = find_overrides(name);
  if (overrides.empty()) return nullptr;
  const Override top = overrides.back();
  ProjectLoader* loader = TRY(top.loader->get_loader(std::string(top.target->text), top.target));
  // This project can still be reached by the names of what was overridden.
  if (loader != this) loader->alternative_parents_.push_back(this);
  overrides.pop_back();
  for (const Override& other : overrides) loader->alternative_parents_.push_back(other.loader);
  return loader;
}

Result<std::optional<LoadIndex>> ProjectLoader::find_override_element(const std::string& name) {
  const std::vector<Override> overrides = find_overrides(name);
  if (overrides.empty()) return std::nullopt;
  const Override& top = overrides.back();
  const Place place = TRY(top.loader->parse_name(std::string(top.target->text), top.target, true));
  return place.loader->load_file(place.name, top.target, true);
}

Status ProjectLoader::read_overrides() {
  if (project_->junction == nullptr) return {};
  for (const auto& [path, target] : project_->junction->overrides) {
    Link link{path, target};
    // A link may lead to a link.
    for (unsigned i = 0; link.node != nullptr && i < kDeepest; ++i)
      link = TRY(read_path(link.path, link.node));
  }
  return {};
}

Result<ProjectLoader::Link> ProjectLoader::read_path(const std::string& path, const Node* at) {
  const std::size_t colon = path.rfind(':');
  ProjectLoader* loader = this;
  std::string junction;
  std::string name = path;
  if (colon != std::string::npos) {
    junction = path.substr(0, colon);
    name = path.substr(colon + 1);
    loader = TRY(get_loader(junction, at, false));
    if (loader == nullptr) return Link{};
  }
  const auto known = loader->elements_.find(name);
  const std::optional<LoadIndex> index = known != loader->elements_.end()
                                             ? std::optional(known->second)
                                             : TRY(loader->read_file(name, at, true));
  if (!index) return Link{};
  const Node* target = graph_.at(*index).link_target;
  if (target == nullptr) return Link{};
  return Link{
      junction.empty() ? std::string(target->text) : fmt::format("{}:{}", junction, target->text),
      target};
}

std::vector<ProjectLoader*> ProjectLoader::ancestors() const {
  std::vector<ProjectLoader*> found;
  const auto follow = [&](ProjectLoader* loader) {
    for (; loader != nullptr && std::find(found.begin(), found.end(), loader) == found.end();
         loader = loader->parent_) {
      found.push_back(loader);
    }
  };
  follow(parent_);
  for (ProjectLoader* parent : alternative_parents_) follow(parent);
  return found;
}

Result<bool> ProjectLoader::leads_to(const Node* paths, const ProjectLoader& loader) {
  if (paths == nullptr) return false;
  for (const Node* path : paths->items()) {
    if (TRY(get_loader(std::string(path->text), path, false)) == &loader) return true;
  }
  return false;
}

Result<bool> ProjectLoader::duplicates(const ProjectLoader& loader) {
  const Node* all = project_->duplicates;
  return leads_to(all != nullptr ? all->find(loader.project_->name) : nullptr, loader);
}

Result<bool> ProjectLoader::internalizes(const ProjectLoader& loader) {
  return leads_to(project_->internal, loader);
}

}  // namespace sluice::loader
