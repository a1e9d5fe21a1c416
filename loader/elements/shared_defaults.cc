#include "loader/elements/shared_defaults.h"

#include <algorithm>

#include "base/try.h"
#include "loader/yaml.h"

namespace sluice::loader {

std::optional<SharedVariables> SharedVariables::make(Arena& arena, const Node& variables) {
  if (variables.contains("element-name") || !assert_composited(variables)) return std::nullopt;
  for (std::string_view name : {"project-name", "max-jobs"}) {
    const Node* node = variables.find(name);
    // Setting one of these is an error of each element.
    if (node != nullptr && !node->mark.synthetic()) return std::nullopt;
  }
  Node* map = clone(arena, variables);
  map->set(arena, "element-name", make_scalar(arena, ""));
  auto made = Variables::create(arena, *map);
  if (!made) return std::nullopt;
  SharedVariables shared(std::move(*made));
  std::vector<Variables::Slot>& slots = shared.variables_.slots_;
  shared.raw_ = slots;
  shared.settled_.resize(slots.size());
  shared.depends_.assign(slots.size(), VariableSet(slots.size()));
  for (std::size_t i = 0; i < slots.size(); ++i) {
    // A variable that can't be resolved here may well be with what an element says.
    shared.settled_[i] = shared.variables_.resolve(slots[i]).has_value();
    if (!shared.settled_[i]) {
      for (Variables::Slot& slot : slots) {
        if (slot.state == Variables::Slot::State::kActive)
          slot.state = Variables::Slot::State::kRaw;
      }
    }
  }
  // Each depends on what it refers to directly, then through others until nothing is added:
  // variables are few.
  for (std::size_t i = 0; i < slots.size(); ++i) {
    shared.depends_[i].add(i);
    for (auto reference = next_reference(shared.raw_[i].value, 0); reference;
         reference = next_reference(shared.raw_[i].value, reference->end)) {
      const std::size_t found = map->index_of(reference->name);
      if (found < slots.size()) shared.depends_[i].add(found);
    }
  }
  for (std::size_t through = 0; through < slots.size(); ++through) {
    for (VariableSet& set : shared.depends_) {
      if (set.contains(through)) set.add(shared.depends_[through]);
    }
  }
  return shared;
}

std::optional<Variables> SharedVariables::derive(Arena& arena, const Node* own,
                                                 std::string_view element_name,
                                                 VariableSet& changed) const {
  const std::size_t name_place = raw_.size() - 1;
  Variables derived(arena, *variables_.map_);
  derived.shared_ = name_place;
  changed = VariableSet(raw_.size());
  changed.add(name_place);
  std::vector<Variables::Slot>& slots = derived.slots_;
  slots.reserve(raw_.size() + (own != nullptr ? own->size() : 0));
  slots.assign(variables_.slots_.begin(), variables_.slots_.end() - 1);
  const auto fresh = [](std::string_view name, const Node& node) {
    const bool refers = next_reference(node.text, 0).has_value();
    return Variables::Slot{
        name, &node, node.text,
        refers ? Variables::Slot::State::kRaw : Variables::Slot::State::kResolved};
  };
  if (own != nullptr) {
    for (const Entry& entry : own->entries()) {
      if (!entry.value->is_scalar() || is_list_directive(entry.key)) return std::nullopt;
      // These are not to be set, or change more than themselves.
      for (std::string_view special : {"project-name", "element-name", "max-jobs", "notparallel"}) {
        if (entry.key == special) return std::nullopt;
      }
      const std::size_t place = variables_.map_->index_of(entry.key);
      if (place < name_place) {
        changed.add(place);
        slots[place] = fresh(slots[place].name, *entry.value);
      } else {
        slots.push_back(fresh(entry.key, *entry.value));
      }
    }
  }
  for (std::size_t i = 0; i < name_place; ++i) {
    if (settled_[i] && !depends_[i].meets(changed)) continue;
    if (!changed.contains(i)) slots[i] = raw_[i];
  }
  slots.push_back(fresh("element-name", *make_scalar(arena, element_name)));
  return derived;
}

bool SharedVariables::depends(std::string_view text, VariableSet& set) const {
  bool settled = true;
  for (auto reference = next_reference(text, 0); reference;
       reference = next_reference(text, reference->end)) {
    const std::size_t found = variables_.map_->index_of(reference->name);
    if (found >= raw_.size() || !settled_[found]) {
      settled = false;
      continue;
    }
    set.add(depends_[found]);
  }
  return settled;
}

SharedTree::SharedTree(Arena& arena, const Node& node, SharedVariables& variables) {
  if (assert_composited(node)) *this = SharedTree(arena, node, variables, 0);
}

SharedTree::SharedTree(Arena& arena, const Node& node, SharedVariables& variables, int)
    : raw_(&node), depends_(variables.count()) {
  if (node.is_scalar()) {
    if (!variables.depends(node.text, depends_)) return;
    const auto text = variables.variables().substitute(node.text, node);
    if (text) expanded_ = make_scalar(arena, *text, node.mark);
    return;
  }
  bool whole = true;
  const auto add = [&](const Node& child) {
    below_.push_back(SharedTree(arena, child, variables, 0));
    depends_.add(below_.back().depends_);
    whole = whole && below_.back().expanded_ != nullptr;
  };
  for (const Node* item : node.items()) add(*item);
  for (const Entry& entry : node.entries()) add(*entry.value);
  if (!whole) return;
  expanded_ = clone(arena, node);
  for (std::size_t i = 0; i < expanded_->items().size(); ++i)
    expanded_->items()[i] = below_[i].expanded_;
  for (std::size_t i = 0; i < node.entries().size(); ++i)
    expanded_->set(arena, node.entries()[i].key, below_[i].expanded_);
}

Result<Node*> SharedTree::expand(Arena& arena, Variables& variables,
                                 const VariableSet& changed) const {
  if (expanded_ != nullptr && !depends_.meets(changed)) return expanded_;
  if (raw_->is_scalar())
    return make_scalar(arena, TRY(variables.substitute(raw_->text, *raw_)), raw_->mark);
  if (raw_->is_list()) {
    Node* list = make_list(arena, raw_->mark);
    const std::span<Node*> items(arena.make_array<Node*>(below_.size()), below_.size());
    for (std::size_t i = 0; i < below_.size(); ++i)
      items[i] = TRY(below_[i].expand(arena, variables, changed));
    list->assign(arena, items);
    return list;
  }
  Node* map = make_map(arena, raw_->mark);
  const std::span<Entry> entries(arena.make_array<Entry>(below_.size()), below_.size());
  for (std::size_t i = 0; i < below_.size(); ++i) {
    entries[i] = {raw_->entries()[i].key, TRY(below_[i].expand(arena, variables, changed))};
  }
  (void)map->assign(arena, entries);  // no key comes twice in what was a map
  return map;
}

Result<Node*> SharedTree::expand(Arena& arena, const Node* own, Variables& variables,
                                 const VariableSet& changed) const {
  if (own == nullptr || own->empty()) return expand(arena, variables, changed);
  // The entries that the element's own words touch are composed and expanded apart.
  Node* touched = make_map(arena, raw_->mark);
  for (const Entry& entry : raw_->entries()) {
    if (own->contains(entry.key)) touched->set(arena, entry.key, clone(arena, *entry.value));
  }
  const std::size_t shared = touched->size();
  CHECK(compose(arena, *own, *touched));
  CHECK(assert_composited(*touched));
  CHECK(variables.expand(*touched));
  const std::size_t count = raw_->size() + touched->size() - shared;
  const std::span<Entry> entries(arena.make_array<Entry>(count), count);
  std::size_t next = 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i < below_.size(); ++i) {
    const std::string_view key = raw_->entries()[i].key;
    if (done < shared && touched->entries()[done].key == key) {
      entries[next++] = touched->entries()[done++];
    } else {
      entries[next++] = {key, TRY(below_[i].expand(arena, variables, changed))};
    }
  }
  for (const Entry& entry : touched->entries().subspan(shared)) entries[next++] = entry;
  Node* map = make_map(arena, touched->mark);
  (void)map->assign(arena, entries);
  return map;
}

}  // namespace sluice::loader
