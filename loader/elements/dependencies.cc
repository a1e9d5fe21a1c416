#include "loader/elements/dependencies.h"

#include <unordered_map>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::loader {

namespace {

struct FileName {
  std::string_view junction;
  std::string_view name;
};

Result<FileName> split_name(const Node& node, std::string_view junction) {
  const std::size_t colon = node.text.rfind(':');
  if (!junction.empty()) {
    if (colon != std::string_view::npos) {
      return invalid_data(
          node,
          fmt::format(
              "Dependency {} contains `:` in its name. `:` characters are not allowed in filename "
              "when junction attribute is specified.",
              node.text));
    }
    return FileName{junction, node.text};
  }
  if (colon == std::string_view::npos) return FileName{{}, node.text};
  return FileName{node.text.substr(0, colon), node.text.substr(colon + 1)};
}

// The names in one item of a dependency list.
Result<std::vector<FileName>> names_of(const Node& node) {
  std::vector<FileName> names;
  if (node.is_scalar()) {
    names.push_back(TRY(split_name(node, {})));
    return names;
  }
  if (!node.is_map())
    return invalid_data(node, "Dependency is not specified as a string or a dictionary");
  const std::string_view junction = TRY(get_string(node, "junction", ""));
  const Node* filename = node.find("filename");
  if (filename == nullptr)
    return invalid_data(node, "Dictionary did not contain expected key 'filename'");
  if (filename->is_map()) {
    return invalid_data(*filename,
                        "Value of 'filename' is not one of the following: list, scalar.");
  }
  if (filename->is_scalar()) names.push_back(TRY(split_name(*filename, junction)));
  for (const Node* item : filename->items()) {
    if (!item->is_scalar())
      return invalid_data(*item, "Expected string while parsing the filename list");
    names.push_back(TRY(split_name(*item, junction)));
  }
  return names;
}

// Reads everything about a dependency but its name. `type` is 0 where the item itself may say.
Result<LoadDependency> read_dependency(Node& node, std::uint8_t type, std::string_view name) {
  LoadDependency dependency;
  dependency.mark = node.mark;
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
        return invalid_data(
            *word,
            fmt::format("Dependency type '{}' is not 'build', 'runtime' or 'all'", word->text));
      }
    }
  }
  dependency.strict = TRY(get_bool(node, "strict", false));
  Node* config = TRY(find_map(node, "config"));
  if (config != nullptr) {
    if (dependency.type == LoadDependency::kRuntime) {
      return invalid_data(*config, "Specifying 'config' for a runtime dependency is not allowed");
    }
    dependency.configs = std::make_unique<std::vector<Node*>>(1, config);
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

Status take_list(Arena& arena, Node& element, std::string_view key, std::uint8_t type,
                 std::vector<WantedDependency>& wanted,
                 std::unordered_map<std::string_view, std::size_t>& seen) {
  Node* list = TRY(find_list(element, key));
  if (list == nullptr) return {};
  for (Node* item : list->items()) {
    for (const FileName& name : TRY(names_of(*item))) {
      LoadDependency dependency = TRY(read_dependency(*item, type, name.name));
      const std::string_view path =
          name.junction.empty() ? name.name
                                : arena.copy(fmt::format("{}:{}", name.junction, name.name));
      const auto [present, inserted] = seen.emplace(path, wanted.size());
      if (!inserted) {
        merge(wanted[present->second].dependency, std::move(dependency));
        continue;
      }
      dependency.path = path;
      wanted.push_back({name.name, name.junction, item, std::move(dependency)});
    }
  }
  element.remove(key);
  return {};
}

}  // namespace

void merge(LoadDependency& dependency, LoadDependency&& other) {
  dependency.type |= other.type;
  dependency.strict = dependency.strict || other.strict;
  if (other.configs == nullptr) return;
  if (dependency.configs == nullptr) dependency.configs = std::make_unique<std::vector<Node*>>();
  dependency.configs->insert(dependency.configs->end(), other.configs->begin(),
                             other.configs->end());
}

Result<std::vector<WantedDependency>> take_dependencies(Arena& arena, Node& element) {
  std::vector<WantedDependency> wanted;
  std::unordered_map<std::string_view, std::size_t> seen;
  CHECK(take_list(arena, element, "build-depends", LoadDependency::kBuild, wanted, seen));
  CHECK(take_list(arena, element, "runtime-depends", LoadDependency::kRuntime, wanted, seen));
  CHECK(take_list(arena, element, "depends", 0, wanted, seen));
  return wanted;
}

}  // namespace sluice::loader
