#include "loader/project/includes.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/variables.h"
#include "loader/project/project.h"
#include "loader/yaml.h"
#include "project/project_file.h"

namespace sluice::loader {

namespace {

// Strips every scalar of an included tree. BuildStream does so with every scalar that it makes, and
// makes new ones of what is included: so blanks at the ends of values, which come of variables that
// were put in, are lost.
void strip_texts(Node& node) {
  if (node.is_scalar()) node.text = strip(node.text);
  for (Node* item : node.items()) strip_texts(*item);
  for (const Entry& entry : node.entries()) strip_texts(*entry.value);
}

// The most includes of one file or element: a file that includes two that include two... would go
// on for ever.
constexpr std::size_t kMostExpansions = 100'000;
constexpr std::size_t kDeepest = 100;
// The most bytes to which one file or element may grow by its includes.
constexpr std::size_t kMostBytes = std::size_t{512} << 20;

}  // namespace

Status Includes::process(Arena& arena, Node& node, Mode mode) {
  // The state of a walk is put aside, since including across a junction can lead back here.
  std::vector<std::string> active;
  std::swap(active, active_);
  const std::size_t expansions = expansions_;
  const std::size_t began_at = began_at_;
  expansions_ = 0;
  began_at_ = arena.bytes();
  auto done =
      process_tree({arena, mode == Mode::kFirstPass}, node, *project_, mode == Mode::kElement);
  std::swap(active, active_);
  expansions_ = expansions;
  began_at_ = began_at;
  return done;
}

Status Includes::process_tree(const Walk& walk, Node& node, Project& current, bool conditionals) {
  if (conditionals) CHECK(current.full.options.process(walk.arena, node));
  return process_node(walk, node, current, conditionals);
}

Status Includes::process_node(const Walk& walk, Node& node, Project& current, bool conditionals) {
  Node* directive = node.find("(@)");
  // An empty list is no directive to BuildStream, but an entry like others.
  if (directive != nullptr && !(directive->is_list() && directive->empty())) {
    if (directive->is_map())
      return invalid_data(*directive, "Value of '(@)' is not one of the following: list, scalar.");
    std::vector<Node*> includes;
    if (directive->is_scalar()) includes.push_back(directive);
    for (Node* item : directive->items()) includes.push_back(item);
    node.remove("(@)");
    for (auto include = includes.rbegin(); include != includes.rend(); ++include) {
      if (!(*include)->is_scalar())
        return invalid_data(**include, "List item is not of the expected type 'scalar'");
      if (walk.only_local && (*include)->text.find(':') != std::string_view::npos) {
        passed_over_ = true;
        continue;
      }
      std::string path;
      const IncludedFile included = TRY(load(**include, current, path));
      if (std::find(active_.begin(), active_.end(), path) != active_.end()) {
        return load_error(*directive, "recursive-include",
                          fmt::format("trying to recursively include {}", path));
      }
      if (++expansions_ > kMostExpansions || active_.size() >= kDeepest) {
        return load_error(*directive, "recursive-include",
                          fmt::format("more than {} includes, or includes more than {} deep",
                                      kMostExpansions, kDeepest));
      }
      Node* copy = clone(walk.arena, *included.node);
      if (walk.arena.bytes() > began_at_ + kMostBytes) {
        return load_error(*directive, "recursive-include",
                          fmt::format("includes grow beyond {} bytes", kMostBytes));
      }
      active_.push_back(path);
      CHECK(process_tree(walk, *copy, *included.project,
                         conditionals || included.project != &current));
      active_.pop_back();
      CHECK(compose_under(walk.arena, *copy, node));
    }
  }
  for (const Entry& entry : node.entries())
    CHECK(process_value(walk, *entry.value, current, conditionals));
  return {};
}

Status Includes::process_value(const Walk& walk, Node& value, Project& current, bool conditionals) {
  if (value.is_map()) return process_node(walk, value, current, conditionals);
  for (Node* item : value.items()) CHECK(process_value(walk, *item, current, conditionals));
  return {};
}

Result<Includes::IncludedFile> Includes::load(const Node& include, Project& current,
                                              std::string& path) {
  Project* owner = &current;
  std::string_view name = include.text;
  const std::size_t colon = name.rfind(':');
  if (colon != std::string_view::npos) {
    owner = TRY(current.subproject(name.substr(0, colon), include));
    CHECK(owner->complete());
    name = name.substr(colon + 1);
  }
  path = name.starts_with('/') ? std::string(name) : fmt::format("{}/{}", owner->directory, name);
  const auto found = loaded_.find({owner, path});
  if (found != loaded_.end()) return IncludedFile{found->second, owner};
  files_.push_back(std::make_unique<File>(File{path, owner->display(include.text)}));
  auto node = load_yaml(project_->lookups(), project_->arena, *files_.back());
  if (!node) {
    // An error of a file that isn't there is at the include; a bad file has its own place.
    Error& error = node.error();
    if (error.provenance.known()) {
      error.detail += fmt::format("{}Included at {}",
                                  error.detail.empty() || error.detail.ends_with('\n') ? "" : "\n",
                                  provenance(include).str());
    } else {
      error.provenance = provenance(include);
    }
    return forward(node);
  }
  if (owner != &current) {
    // Variables in a file of a subproject are those of that project.
    Variables variables =
        TRY(Variables::create(project_->arena, *clone(project_->arena, *owner->full.variables)));
    CHECK(variables.expand(**node));
    strip_texts(**node);
  }
  loaded_.emplace(std::make_pair(owner, path), *node);
  return IncludedFile{*node, owner};
}

}  // namespace sluice::loader
