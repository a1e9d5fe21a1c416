#include "loader/graph.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "loader/dependency_sort.h"
#include "loader/paths.h"
#include "loader/try.h"
#include "loader/yaml_parse.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kElementKeys[] = {"kind", "depends", "sources", "sandbox", "variables", "environment",
                                             "environment-nocache", "config", "public", "description", "build-depends",
                                             "runtime-depends"};

Status check_name(std::string_view name, const Node* at) {
  const Provenance where = at != nullptr ? provenance(*at) : Provenance{};
  if (!name.ends_with(".bst")) {
    return fail("load", "bad-element-suffix", fmt::format("Element '{}' does not have expected file extension `.bst`", name), where);
  }
  for (const char c : name) {
    const auto code = static_cast<unsigned char>(c);
    if (code <= 31 || code >= 127 || std::string_view("<>\"|?*").find(c) != std::string_view::npos) {
      return fail("load", "bad-characters-in-name", fmt::format("Element '{}' has invalid characters.", name), where);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<LoadIndex>> Graph::load(const std::vector<std::string>& targets) {
  for (const std::string& target : targets) {
    if (target.starts_with('/')) {
      return fail("load", "invalid-data",
                  fmt::format("Target '{}' was not specified as a relative path to the base project directory: {}", target,
                              project_->element_path));
    }
  }
  std::vector<LoadIndex> indices;
  for (const std::string& target : targets) {
    if (target.find(':') != std::string::npos) {
      return fail("load", "unsupported", fmt::format("Elements of other projects are not supported yet: {}", target));
    }
    indices.push_back(TRY(load_tree(normalize(target), nullptr)));
  }
  CHECK(check_cycles(indices));
  for (const LoadIndex index : indices) sort_dependencies(index);
  return indices;
}

Result<LoadIndex> Graph::load_file(const std::string& wanted_name, const Node* at) {
  const std::string name = normalize(wanted_name);
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  CHECK(check_name(name, at));
  files_.push_back(std::make_unique<File>(File{join(project_->element_path, name), name}));
  auto loaded = load_yaml(project_->arena, *files_.back());
  if (!loaded) {
    if (loaded.error().reason != "missing-file") {
      if (!loaded.error().provenance.known()) loaded.error().provenance = {name, 0, 0};
      return forward(loaded);
    }
    std::string detail;
    const std::string elements = project_->element_path.substr(std::min(project_->element_path.size(), project_->directory.size() + 1));
    if (!elements.empty() && name.starts_with(elements + "/") &&
        path_exists(join(project_->element_path, name.substr(elements.size() + 1)))) {
      detail = fmt::format("Did you mean '{}'?", name.substr(elements.size() + 1));
    }
    return fail("load", "missing-file",
                fmt::format("Could not find element '{}' in elements directory '{}'", name, project_->element_path),
                at != nullptr ? provenance(*at) : Provenance{}, detail);
  }
  Node& node = **loaded;
  LoadElement element;
  element.kind = TRY(get_string(node, "kind"));
  if (element.kind == "junction" || element.kind == "link") {
    return load_error(*node.find("kind"), "unsupported", fmt::format("Elements of kind '{}' are not supported yet", element.kind));
  }
  CHECK(project_->includes.process(project_->arena, node, &project_->options));
  CHECK(validate_keys(node, kElementKeys));
  element.name = name;
  element.full_name = name;
  element.kind = TRY(get_string(node, "kind"));
  element.description = TRY(get_string(node, "description", ""));
  element.project = project_;
  element.node = &node;
  const auto index = static_cast<LoadIndex>(elements_.size());
  elements_.push_back(std::move(element));
  expanded_.push_back(false);
  validated_.push_back(false);
  sorted_.push_back(false);
  by_name_.emplace(name, index);
  return index;
}

Result<LoadIndex> Graph::load_tree(const std::string& name, const Node* at) {
  const LoadIndex top = TRY(load_file(name, at));
  if (expanded_[top]) return top;

  // An element whose dependencies are being loaded.
  struct Step {
    LoadIndex element;
    std::vector<Wanted> wanted;
    std::size_t next = 0;
    std::unordered_map<LoadIndex, std::size_t> present;  // position among its dependencies
  };
  std::vector<Step> steps;
  const auto expand = [&](LoadIndex index) -> Status {
    expanded_[index] = true;
    steps.push_back({index, TRY(take_dependencies(elements_[index])), 0, {}});
    return {};
  };
  CHECK(expand(top));
  while (!steps.empty()) {
    if (steps.back().next == steps.back().wanted.size()) {
      steps.pop_back();
      continue;
    }
    // A copy of what is needed: expand() moves the steps.
    const std::size_t owner = steps.size() - 1;
    const std::size_t position = steps[owner].next++;
    const Wanted& wanted = steps[owner].wanted[position];
    if (!wanted.junction.empty()) {
      return load_error(*wanted.dependency.node, "unsupported",
                        fmt::format("Dependencies across junctions are not supported yet: {}", wanted.path));
    }
    const LoadIndex index = TRY(load_file(wanted.name, wanted.dependency.node));
    if (!expanded_[index]) CHECK(expand(index));

    Step& step = steps[owner];
    LoadDependency dependency = std::move(step.wanted[position].dependency);
    dependency.element = index;
    std::vector<LoadDependency>& dependencies = elements_[step.element].dependencies;
    const auto [present, inserted] = step.present.emplace(index, dependencies.size());
    if (inserted) {
      dependencies.push_back(std::move(dependency));
    } else {
      LoadDependency& existing = dependencies[present->second];
      existing.type |= dependency.type;
      existing.strict = existing.strict || dependency.strict;
      existing.configs.insert(existing.configs.end(), dependency.configs.begin(), dependency.configs.end());
    }
  }
  return top;
}

Result<std::vector<Graph::Wanted>> Graph::take_dependencies(LoadElement& element) {
  std::vector<Wanted> wanted;
  std::unordered_map<std::string, std::size_t> seen;
  CHECK(take_list(*element.node, "build-depends", LoadDependency::kBuild, wanted, seen));
  CHECK(take_list(*element.node, "runtime-depends", LoadDependency::kRuntime, wanted, seen));
  CHECK(take_list(*element.node, "depends", 0, wanted, seen));
  return wanted;
}

namespace {

struct FileName {
  std::string junction;
  std::string name;
};

Result<FileName> split_name(const Node& node, std::string_view junction) {
  const std::size_t colon = node.text.rfind(':');
  if (!junction.empty()) {
    if (colon != std::string_view::npos) {
      return invalid_data(node, fmt::format("Dependency {} contains `:` in its name. `:` characters are not allowed in filename "
                                            "when junction attribute is specified.",
                                            node.text));
    }
    return FileName{std::string(junction), std::string(node.text)};
  }
  if (colon == std::string_view::npos) return FileName{"", std::string(node.text)};
  return FileName{std::string(node.text.substr(0, colon)), std::string(node.text.substr(colon + 1))};
}

// The names in one item of a dependency list.
Result<std::vector<FileName>> names_of(const Node& node) {
  std::vector<FileName> names;
  if (node.is_scalar()) {
    names.push_back(TRY(split_name(node, {})));
    return names;
  }
  if (!node.is_map()) return invalid_data(node, "Dependency is not specified as a string or a dictionary");
  const std::string_view junction = TRY(get_string(node, "junction", ""));
  const Node* filename = node.find("filename");
  if (filename == nullptr) return invalid_data(node, "Dictionary did not contain expected key 'filename'");
  if (filename->is_map()) {
    return invalid_data(*filename, "Value of 'filename' is not one of the following: list, scalar.");
  }
  if (filename->is_scalar()) names.push_back(TRY(split_name(*filename, junction)));
  for (const Node* item : filename->items()) {
    if (!item->is_scalar()) return invalid_data(*item, "Expected string while parsing the filename list");
    names.push_back(TRY(split_name(*item, junction)));
  }
  return names;
}

// Everything about a dependency but its name. `type` is 0 where the item itself may say.
Result<LoadDependency> read_dependency(Node& node, std::uint8_t type, std::string_view name) {
  LoadDependency dependency;
  dependency.node = &node;
  dependency.type = type != 0 ? type : LoadDependency::kBuild | LoadDependency::kRuntime;
  if (!node.is_map()) return dependency;
  if (type != 0) {
    CHECK(validate_keys(node, {"filename", "junction", "strict", "config"}));
  } else {
    CHECK(validate_keys(node, {"filename", "type", "junction", "strict", "config"}));
    if (const Node* word = TRY(find_scalar(node, "type"))) {
      if (word->text == "build") {
        dependency.type = LoadDependency::kBuild;
      } else if (word->text == "runtime") {
        dependency.type = LoadDependency::kRuntime;
      } else if (word->text != "all") {
        return invalid_data(*word, fmt::format("Dependency type '{}' is not 'build', 'runtime' or 'all'", word->text));
      }
    }
  }
  dependency.strict = TRY(get_bool(node, "strict", false));
  Node* config = TRY(find_map(node, "config"));
  if (config != nullptr) {
    if (dependency.type == LoadDependency::kRuntime) {
      return invalid_data(*config, "Specifying 'config' for a runtime dependency is not allowed");
    }
    dependency.configs.push_back(config);
  }
  if (!dependency.strict && node.contains("strict")) {
    return invalid_data(*node.find("strict"), "Setting 'strict' to False is unsupported");
  }
  if (dependency.strict && dependency.type == LoadDependency::kRuntime) {
    return invalid_data(node, fmt::format("Runtime dependency {} specified as `strict`.", name),
                        "Only dependencies required at build time may be declared `strict`.");
  }
  return dependency;
}

}  // namespace

Status Graph::take_list(Node& element, std::string_view key, std::uint8_t type, std::vector<Wanted>& wanted,
                        std::unordered_map<std::string, std::size_t>& seen) {
  Node* list = TRY(find_list(element, key));
  if (list == nullptr) return {};
  for (Node* item : list->items()) {
    for (FileName& name : TRY(names_of(*item))) {
      LoadDependency dependency = TRY(read_dependency(*item, type, name.name));
      std::string path = name.junction.empty() ? name.name : fmt::format("{}:{}", name.junction, name.name);
      const auto [present, inserted] = seen.emplace(path, wanted.size());
      if (!inserted) {
        LoadDependency& existing = wanted[present->second].dependency;
        existing.type |= dependency.type;
        existing.strict = existing.strict || dependency.strict;
        existing.configs.insert(existing.configs.end(), dependency.configs.begin(), dependency.configs.end());
        continue;
      }
      dependency.path = path;
      wanted.push_back({std::move(name.name), std::move(name.junction), std::move(path), std::move(dependency)});
    }
  }
  element.remove(key);
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
        const auto start = std::find_if(path.begin(), path.end(), [&](const Step& s) { return s.element == dependency.element; });
        std::string chain;
        for (auto at = start; at != path.end(); ++at) chain += elements_[at->element].full_name + " -> ";
        return load_error(*dependency.node, "circular-dependency",
                          fmt::format("Circular dependency detected at element: {}\nDependency chain: {}{}", again.full_name,
                                      chain, again.full_name));
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
