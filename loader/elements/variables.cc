#include "loader/elements/variables.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::loader {

namespace {

// The most bytes of a value. Values double with every level of `a: %{b}%{b}`, which nobody means.
constexpr std::size_t kLongestValue = std::size_t{16} << 20;
// The most bytes of all values of an element, since of one value of the largest size a thousand
// others can be made.
constexpr std::size_t kMostText = std::size_t{256} << 20;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

}  // namespace

std::optional<Reference> next_reference(std::string_view text, std::size_t from) {
  while ((from = text.find("%{", from)) != std::string_view::npos) {
    std::size_t end = from + 2;
    if (end < text.size() && is_letter(text[end])) {
      while (end < text.size() && is_name(text[end])) ++end;
      if (end < text.size() && text[end] == '}')
        return Reference{from, end + 1, text.substr(from + 2, end - from - 2)};
    }
    from += 2;
  }
  return std::nullopt;
}

Result<Variables> Variables::create(Arena& arena, Node& map) {
  if (TRY(get_bool(map, "notparallel", false))) {
    // The new value takes the place and the mark of the old one.
    const Node* old = map.find("max-jobs");
    map.set(arena, "max-jobs", make_scalar(arena, "1", old != nullptr ? old->mark : Mark{}));
  }
  Variables variables(arena, map);
  variables.slots_.reserve(map.size());
  for (const Entry& entry : map.entries()) {
    if (!entry.value->is_scalar()) {
      return invalid_data(
          *entry.value,
          fmt::format("Value of '{}' is not of the expected type 'scalar'", entry.key));
    }
    Slot slot{entry.key, entry.value, entry.value->text, Slot::State::kRaw};
    if (!next_reference(slot.value, 0)) slot.state = Slot::State::kResolved;
    variables.slots_.push_back(slot);
  }
  return variables;
}

Variables::Slot* Variables::find(std::string_view name) {
  const std::size_t found = map_->index_of(name);
  if (shared_ == kAll) return found >= slots_.size() ? nullptr : &slots_[found];
  if (found < shared_) return &slots_[found];
  if (found == shared_) return &slots_.back();
  for (std::size_t i = shared_; i + 1 < slots_.size(); ++i) {
    if (slots_[i].name == name) return &slots_[i];
  }
  return nullptr;
}

const Node* Variables::node_of(std::string_view name) {
  const Slot* slot = find(name);
  return slot != nullptr ? slot->node : nullptr;
}

Status Variables::check() {
  for (Slot& slot : slots_) CHECK(resolve(slot));
  return {};
}

Result<std::optional<std::string_view>> Variables::get(std::string_view name) {
  Slot* slot = find(name);
  if (slot == nullptr) return std::nullopt;
  CHECK(resolve(*slot));
  return std::optional<std::string_view>(slot->value);
}

Status Variables::assert_defined(std::string_view text, const Node* at) {
  for (auto reference = next_reference(text, 0); reference;
       reference = next_reference(text, reference->end)) {
    if (find(reference->name) == nullptr) {
      return fail("load", "unresolved-variable",
                  fmt::format("Reference to undefined variable '{}'", reference->name),
                  at != nullptr ? provenance(*at) : Provenance{});
    }
  }
  return {};
}

Result<std::string_view> Variables::join(std::string_view text, const Node* at) {
  std::string joined;
  std::size_t done = 0;
  for (auto reference = next_reference(text, 0); reference;
       reference = next_reference(text, reference->end)) {
    joined.append(text.substr(done, reference->begin - done));
    joined.append(find(reference->name)->value);
    done = reference->end;
    if (joined.size() > kLongestValue) {
      return fail("load", "unresolved-variable",
                  fmt::format("A value grows beyond {} bytes", kLongestValue),
                  at != nullptr ? provenance(*at) : Provenance{});
    }
  }
  joined.append(text.substr(done));
  spent_ += joined.size();
  if (spent_ > kMostText) {
    return fail("load", "unresolved-variable",
                fmt::format("Values grow beyond {} bytes in all", kMostText),
                at != nullptr ? provenance(*at) : Provenance{});
  }
  return arena_->copy(joined);
}

Status Variables::resolve(Slot& wanted) {
  if (wanted.state == Slot::State::kResolved) return {};
  // Variables are resolved depth first with the path on a vector: values may be chained by the
  // thousand.
  struct Step {
    Slot* slot;
    std::size_t position;
  };
  std::vector<Step> path;
  const auto enter = [&](Slot& slot) -> Status {
    CHECK(assert_defined(slot.value, slot.node));
    slot.state = Slot::State::kActive;
    path.push_back({&slot, 0});
    return {};
  };
  CHECK(enter(wanted));
  while (!path.empty()) {
    Step& step = path.back();
    const auto reference = next_reference(step.slot->value, step.position);
    if (!reference) {
      step.slot->value = TRY(join(step.slot->value, step.slot->node));
      step.slot->state = Slot::State::kResolved;
      path.pop_back();
      continue;
    }
    step.position = reference->end;
    Slot& next = *find(reference->name);
    if (next.state == Slot::State::kRaw) {
      CHECK(enter(next));
    } else if (next.state == Slot::State::kActive) {
      std::vector<Slot*> chain;
      for (const Step& on_path : path) chain.push_back(on_path.slot);
      return circular(chain, next);
    }
  }
  return {};
}

tl::unexpected<Error> Variables::circular(const std::vector<Slot*>& chain, Slot& again) const {
  std::string detail;
  const auto first = std::find(chain.begin(), chain.end(), &again);
  for (auto at = first; at != chain.end(); ++at) {
    const Slot& next = at + 1 == chain.end() ? again : **(at + 1);
    detail += fmt::format("{}{}: Variable '{}' refers to variable '{}'", detail.empty() ? "" : "\n",
                          provenance(*(*at)->node).str(), (*at)->name, next.name);
  }
  return fail("load", "circular-reference-variable",
              fmt::format("Circular dependency detected on variable '{}'", again.name),
              provenance(*again.node), detail);
}

Result<std::string_view> Variables::substitute(std::string_view text, const Node& at) {
  auto reference = next_reference(text, 0);
  if (!reference) return text;
  CHECK(assert_defined(text, &at));
  for (; reference; reference = next_reference(text, reference->end))
    CHECK(resolve(*find(reference->name)));
  return join(text, &at);
}

Status Variables::expand(Node& node) {
  if (node.is_scalar()) {
    node.text = TRY(substitute(node.text, node));
    return {};
  }
  for (Node* item : node.items()) CHECK(expand(*item));
  for (const Entry& entry : node.entries()) CHECK(expand(*entry.value));
  return {};
}

Result<model::StringMap> Variables::values() {
  model::StringMap all;
  all.reserve(slots_.size());
  for (Slot& slot : slots_) {
    CHECK(resolve(slot));
    all.emplace_back(slot.name, slot.value);
  }
  return all;
}

}  // namespace sluice::loader
