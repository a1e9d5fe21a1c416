#include "loader/elements/graph.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/dependency_sort.h"
#include "loader/project/project_loader.h"
#include "loader/yaml.h"
#include "project/packed_tree.h"

namespace sluice::loader {

Graph::Graph(Project& toplevel) {
  loaders_.push_back(std::make_unique<ProjectLoader>(*this, toplevel, nullptr));
}

Graph::~Graph() = default;

LoadIndex Graph::add(LoadElement element) {
  const auto index = static_cast<LoadIndex>(elements_.size());
  elements_.push_back(std::move(element));
  validated_.push_back(false);
  sorted_.push_back(false);
  return index;
}

const File& Graph::add_file(File file) {
  files_.push_back(std::make_unique<File>(std::move(file)));
  return *files_.back();
}

std::shared_ptr<Arena> Graph::arena() {
  if (arena_ == nullptr || arena_->bytes() > kTreesTogether)
    arena_ = std::make_shared<Arena>(kTreesTogether);
  return arena_;
}

std::string LoadElement::full_name() const {
  return project->junction != nullptr ? fmt::format("{}:{}", project->junction->full_name, name)
                                      : name;
}

Node* LoadElement::unpack(Arena& scratch) const {
  return node != nullptr ? node : unpack_tree(scratch, packed, mark.file, OtherFiles::kTaken);
}

void LoadElement::forget() {
  if (first_pass) return;
  node = nullptr;
  packed = {};
  arena.reset();
  std::vector<LoadDependency>().swap(dependencies);
}

void Graph::pack(LoadElement& element) {
  if (element.first_pass || element.node == nullptr) return;
  for (const LoadDependency& dependency : element.dependencies) {
    if (dependency.configs != nullptr) return;
  }
  packing_.clear();
  pack_tree(packing_, *element.node, element.mark.file);
  if (packed_ == nullptr || packed_->bytes() > kTreesTogether)
    packed_ = std::make_shared<Arena>(kTreesTogether);
  element.packed = packed_->copy(packing_);
  element.node = nullptr;
  element.arena = packed_;
}

const SourceKinds* Graph::source_kinds(const Node& element) {
  SourceKinds found;
  std::string all;
  const Node* sources = element.find("sources");
  if (sources != nullptr && sources->is_list()) {
    for (const Node* source : sources->items()) {
      const Node* kind = source->is_map() ? source->find("kind") : nullptr;
      if (kind == nullptr || !kind->is_scalar()) {
        found.complete = false;
        all += '?';
        continue;
      }
      found.kinds.emplace_back(kind->text);
      found.marks.push_back(source->mark);
      all += '=';
      all += kind->text;
      all += '\0';
    }
  }
  return &source_kinds_.try_emplace(std::move(all), std::move(found)).first->second;
}

ProjectLoader& Graph::add_loader(std::unique_ptr<Project> project, ProjectLoader& parent) {
  projects_.push_back(std::move(project));
  loaders_.push_back(std::make_unique<ProjectLoader>(*this, *projects_.back(), &parent));
  return *loaders_.back();
}

Result<std::vector<LoadIndex>> Graph::load(const std::vector<std::string>& targets) {
  ProjectLoader& toplevel = *loaders_.front();
  for (const std::string& target : targets) {
    if (target.starts_with('/')) {
      return fail(
          "load", "invalid-data",
          fmt::format(
              "Target '{}' was not specified as a relative path to the base project directory: {}",
              target, toplevel.project()->element_path));
    }
  }
  std::vector<LoadIndex> indices;
  for (const std::string& target : targets) {
    const auto found = TRY(toplevel.parse_name(target, nullptr, true));
    indices.push_back(*TRY(found.loader->load_file(found.name, nullptr, true)));
  }
  CHECK(check_cycles(indices));
  for (const LoadIndex index : indices) sort_dependencies(index);
  return indices;
}

std::vector<Project*> Graph::projects() const {
  std::vector<Project*> projects;
  std::vector<std::string_view> names;
  for (const auto& loader : loaders_) {
    if (std::find(names.begin(), names.end(), loader->project()->name) != names.end()) continue;
    names.push_back(loader->project()->name);
    for (const auto& other : loaders_) {
      if (other->project()->name == loader->project()->name) projects.push_back(other->project());
    }
  }
  return projects;
}

Status Graph::assert_no_conflicts() {
  struct Instance {
    ProjectLoader* loader;
    std::vector<ProjectLoader*> duplicated_by;
    std::vector<ProjectLoader*> internal_to;
  };
  std::vector<std::string> done;
  for (std::size_t first = 0; first < loaders_.size(); ++first) {
    const std::string name = loaders_[first]->project()->name;
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    done.push_back(name);
    std::vector<Instance> instances;
    std::size_t primary = 0;
    std::size_t duplicates = 0;
    for (std::size_t i = first; i < loaders_.size(); ++i) {
      ProjectLoader& loader = *loaders_[i];
      if (loader.project()->name != name) continue;
      Instance instance{&loader, {}, {}};
      for (ProjectLoader* ancestor : loader.ancestors()) {
        if (TRY(ancestor->duplicates(loader))) instance.duplicated_by.push_back(ancestor);
        if (TRY(ancestor->internalizes(loader))) instance.internal_to.push_back(ancestor);
      }
      duplicates += instance.duplicated_by.empty() ? 0 : 1;
      primary += instance.duplicated_by.empty() && instance.internal_to.empty() ? 1 : 0;
      instances.push_back(std::move(instance));
    }
    if (primary <= 1 && (primary == 0 || duplicates == 0)) continue;
    std::string detail;
    for (const Instance& instance : instances) {
      detail += instance.loader->describe() + "\n";
      for (const ProjectLoader* by : instance.duplicated_by)
        detail += fmt::format("  Duplicated by: {}\n", by->describe());
      for (const ProjectLoader* to : instance.internal_to)
        detail += fmt::format("  Internal to: {}\n", to->describe());
      detail += "\n";
    }
    detail +=
        "Internal projects are in nobody's way, and neither are projects that are marked as "
        "duplicates wherever they are loaded.";
    return fail("load", "conflicting-junction",
                fmt::format("Project '{}' was loaded in multiple contexts", name), {}, detail);
  }
  return {};
}

Status Graph::check_cycles(const std::vector<LoadIndex>& targets) {
  struct Step {
    LoadIndex element;
    std::size_t next = 0;
  };
  std::vector<Step> path;
  std::vector<bool> on_path(elements_.size());
  for (const LoadIndex target : targets) {
    if (validated_[target]) continue;
    path.push_back({target, 0});
    on_path[target] = true;
    while (!path.empty()) {
      Step& step = path.back();
      const std::vector<LoadDependency>& dependencies = elements_[step.element].dependencies;
      if (step.next == dependencies.size()) {
        on_path[step.element] = false;
        validated_[step.element] = true;
        path.pop_back();
        continue;
      }
      const LoadDependency& dependency = dependencies[step.next++];
      if (on_path[dependency.element]) {
        const LoadElement& again = elements_[dependency.element];
        const auto start = std::find_if(path.begin(), path.end(), [&](const Step& s) {
          return s.element == dependency.element;
        });
        std::string chain;
        for (auto at = start; at != path.end(); ++at)
          chain += elements_[at->element].full_name() + " -> ";
        return fail(
            "load", "circular-dependency",
            fmt::format("Circular dependency detected at element: {}\nDependency chain: {}{}",
                        again.full_name(), chain, again.full_name()),
            provenance(dependency.mark));
      }
      if (!validated_[dependency.element]) {
        on_path[dependency.element] = true;
        path.push_back({dependency.element, 0});
      }
    }
  }
  return {};
}

void Graph::sort_dependencies(LoadIndex first) {
  if (sorted_[first]) return;
  DependencySorter sorter(elements_);
  std::vector<LoadIndex> pending = {first};
  sorted_[first] = true;
  while (!pending.empty()) {
    const LoadIndex index = pending.back();
    pending.pop_back();
    for (const LoadDependency& dependency : elements_[index].dependencies) {
      if (sorted_[dependency.element]) continue;
      sorted_[dependency.element] = true;
      pending.push_back(dependency.element);
    }
    sorter.sort(elements_[index].dependencies);
  }
}

}  // namespace sluice::loader
