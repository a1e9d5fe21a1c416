#include "loader/includes.h"

#include <algorithm>

#include <fmt/format.h>

#include "loader/compose.h"
#include "loader/try.h"
#include "loader/yaml_parse.h"

namespace sluice::loader {

namespace {

// A file that includes two that include two... would go on for ever.
constexpr std::size_t kMostExpansions = 100'000;
constexpr std::size_t kDeepest = 100;

}  // namespace

Status Includes::process(Arena& arena, Node& node, const Options* options) {
  expansions_ = 0;
  active_.clear();
  return process_tree(arena, node, options);
}

Status Includes::process_tree(Arena& arena, Node& node, const Options* options) {
  if (options != nullptr) CHECK(options->process(arena, node));
  return process_node(arena, node, options);
}

Status Includes::process_node(Arena& arena, Node& node, const Options* options) {
  if (Node* directive = node.find("(@)")) {
    if (directive->is_map()) return invalid_data(*directive, "Value of '(@)' is not one of the following: list, scalar.");
    std::vector<Node*> includes;
    if (directive->is_scalar()) includes.push_back(directive);
    for (Node* item : directive->items()) includes.push_back(item);
    node.remove("(@)");
    for (auto include = includes.rbegin(); include != includes.rend(); ++include) {
      if (!(*include)->is_scalar()) return invalid_data(**include, "List item is not of the expected type 'scalar'");
      std::string path;
      const Node* included = TRY(load(**include, path));
      if (std::find(active_.begin(), active_.end(), path) != active_.end()) {
        return load_error(*directive, "recursive-include", fmt::format("trying to recursively include {}", path));
      }
      if (++expansions_ > kMostExpansions || active_.size() >= kDeepest) {
        return load_error(*directive, "recursive-include",
                          fmt::format("more than {} includes, or includes more than {} deep", kMostExpansions, kDeepest));
      }
      Node* copy = clone(arena, *included);
      active_.push_back(path);
      CHECK(process_tree(arena, *copy, options));
      active_.pop_back();
      CHECK(compose_under(arena, *copy, node));
    }
  }
  for (const Entry& entry : node.entries()) CHECK(process_value(arena, *entry.value, options));
  return {};
}

Status Includes::process_value(Arena& arena, Node& value, const Options* options) {
  if (value.is_map()) return process_node(arena, value, options);
  for (Node* item : value.items()) CHECK(process_value(arena, *item, options));
  return {};
}

Result<Node*> Includes::load(const Node& include, std::string& path) {
  if (include.text.find(':') != std::string_view::npos) {
    return load_error(include, "unsupported", fmt::format("Including a file across a junction is not supported yet: {}", include.text));
  }
  path = include.text.starts_with('/') ? std::string(include.text) : fmt::format("{}/{}", directory_, include.text);
  const auto found = loaded_.find(path);
  if (found != loaded_.end()) return found->second;
  files_.push_back(std::make_unique<File>(File{path, std::string(include.text)}));
  auto node = load_yaml(*arena_, *files_.back());
  if (!node) {
    // A file that isn't there is the fault of who names it; a bad one has its own place.
    if (!node.error().provenance.known()) node.error().provenance = provenance(include);
    return forward(node);
  }
  loaded_.emplace(path, *node);
  return *node;
}

}  // namespace sluice::loader
