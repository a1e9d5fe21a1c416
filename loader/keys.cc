#include "loader/keys.h"

#include <algorithm>
#include <cassert>

#include "loader/json.h"

namespace sluice::loader {

namespace {

// The keys of the dictionary are sorted, and these two are first.
constexpr std::string_view kBeginning = "{\"core-artifact-version\":11,\"dependencies\":[";

// States of the hash are kept this many dependencies apart, besides where keys end.
constexpr std::uint32_t kStateDistance = 32;

}  // namespace

std::string key_without_dependencies(const ResolvedElement& element) {
  Sha256 hash;
  hash.update(kBeginning);
  hash.update("]");
  hash.update(element.key_tail);
  hash.update("}");
  return hash.hex();
}

KeyMaker::KeyMaker(const std::vector<LoadElement>& elements, const std::vector<ResolvedElement>& resolved)
    : elements_(elements), resolved_(resolved), keys_(elements.size()), closures_(elements.size()), marks_(elements.size()) {
  steps_.push_back({});
  runtime_start_.push_back(0);
  for (const ResolvedElement& element : resolved) {
    runtime_.insert(runtime_.end(), element.runtime.begin(), element.runtime.end());
    runtime_start_.push_back(runtime_.size());
  }
}

KeyMaker::Sequence KeyMaker::append(Sequence sequence, LoadIndex element) {
  const Sequence latest = steps_[sequence].latest;
  if (latest != 0 && steps_[latest].element == element) return latest;
  const std::uint64_t key = (std::uint64_t{sequence} << 32) | element;
  const auto [found, inserted] = next_.emplace(key, static_cast<Sequence>(steps_.size()));
  if (inserted) {
    const Step before = steps_[sequence];
    steps_.push_back({sequence, element, before.length + 1, 0, before.complete && !keys_[element].strict.empty()});
  }
  steps_[sequence].latest = found->second;
  return found->second;
}

void KeyMaker::mark(Sequence sequence) {
  for (; sequence != 0; sequence = steps_[sequence].before) marks_[steps_[sequence].element] = round_;
}

KeyMaker::Sequence KeyMaker::extend(Sequence sequence, std::span<const LoadIndex> roots, std::size_t from) {
  struct Visit {
    LoadIndex element;
    std::size_t next = 0;
  };
  std::vector<Visit> path;
  for (std::size_t i = from; i < roots.size(); ++i) {
    if (marks_[roots[i]] == round_) continue;
    marks_[roots[i]] = round_;
    path.push_back({roots[i], 0});
    while (!path.empty()) {
      Visit& visit = path.back();
      const std::span<const LoadIndex> below = runtime(visit.element);
      if (visit.next == below.size()) {
        sequence = append(sequence, visit.element);
        path.pop_back();
        continue;
      }
      const LoadIndex next = below[visit.next++];
      if (marks_[next] == round_) continue;
      marks_[next] = round_;
      path.push_back({next, 0});
    }
  }
  return sequence;
}

KeyMaker::Sequence KeyMaker::runtime_closure(LoadIndex element) {
  if (closures_[element] != 0) return closures_[element];
  // Down the first dependencies to one that is known, and up again.
  std::vector<LoadIndex> path = {element};
  while (!runtime(path.back()).empty() && closures_[runtime(path.back()).front()] == 0) {
    path.push_back(runtime(path.back()).front());
  }
  for (; !path.empty(); path.pop_back()) {
    const LoadIndex current = path.back();
    const std::span<const LoadIndex> below = runtime(current);
    Sequence sequence = below.empty() ? 0 : closures_[below.front()];
    if (below.size() > 1) {
      ++round_;
      mark(sequence);
      sequence = extend(sequence, below, 1);
    }
    closures_[current] = append(sequence, current);
  }
  return closures_[element];
}

KeyMaker::Sequence KeyMaker::build_closure(LoadIndex element) {
  const std::vector<LoadIndex>& below = resolved_[element].build;
  if (below.empty()) return 0;
  Sequence sequence = runtime_closure(below.front());
  if (below.size() > 1) {
    ++round_;
    mark(sequence);
    sequence = extend(sequence, below, 1);
  }
  return sequence;
}

void KeyMaker::write_entry(std::string& out, LoadIndex element, const std::string* key) const {
  out += '[';
  json_string(out, elements_[element].project->name);
  out += ',';
  json_string(out, elements_[element].name);
  if (key != nullptr) {
    out += ",\"";
    out += *key;
    out += '"';
  }
  out += ']';
}

Sha256 KeyMaker::state_of(Sequence sequence, Flavour flavour) {
  auto& states = states_[static_cast<int>(flavour)];
  // Back to the last state that is kept, then on from there.
  std::vector<Sequence> missing;
  Sequence at = sequence;
  Sha256 hash;
  while (true) {
    const auto known = states.find(at);
    if (known != states.end()) {
      hash = known->second;
      break;
    }
    if (at == 0) {
      hash.update(kBeginning);
      states.emplace(0, hash);
      break;
    }
    missing.push_back(at);
    at = steps_[at].before;
  }
  std::string text;
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    const Step& step = steps_[*next];
    if (step.before != 0) text += ',';
    write_entry(text, step.element, flavour == Flavour::kStrict ? &keys_[step.element].strict : nullptr);
    const bool end = *next == sequence;
    if (end || step.length % kStateDistance == 0) {
      hash.update(text);
      text.clear();
      states.emplace(*next, hash);
    }
  }
  return hash;
}

model::Keys KeyMaker::make(LoadIndex index) {
  const ResolvedElement& element = resolved_[index];
  model::Keys& keys = keys_[index];
  if (element.key_tail.empty()) return keys;
  const Sequence sequence = build_closure(index);

  if (!element.kind->strict_rebuild && element.strict.empty()) {
    Sha256 hash = state_of(sequence, Flavour::kWeak);
    hash.update("]");
    hash.update(element.key_tail);
    hash.update("}");
    keys.weak = hash.hex();
  } else {
    std::vector<LoadIndex> dependencies;
    for (Sequence at = sequence; at != 0; at = steps_[at].before) dependencies.push_back(steps_[at].element);
    std::reverse(dependencies.begin(), dependencies.end());
    Sha256 hash;
    std::string text(kBeginning);
    bool known = true;
    for (std::size_t i = 0; i < dependencies.size(); ++i) {
      const LoadIndex dependency = dependencies[i];
      const bool strict = element.kind->strict_rebuild ||
                          std::find(element.strict.begin(), element.strict.end(), dependency) != element.strict.end();
      if (i > 0) text += ',';
      if (strict && keys_[dependency].weak.empty()) known = false;
      write_entry(text, dependency, strict ? &keys_[dependency].weak : nullptr);
    }
    if (!known) return keys;
    hash.update(text);
    hash.update("]");
    hash.update(element.key_tail);
    hash.update("}");
    keys.weak = hash.hex();
  }

  if (!steps_[sequence].complete) return keys;
  Sha256 hash = state_of(sequence, Flavour::kStrict);
  hash.update("]");
  hash.update(element.key_tail);
  hash.update(",\"weak-cache-key\":\"");
  hash.update(keys.weak);
  hash.update("\"}");
  keys.strict = hash.hex();
  return keys;
}

}  // namespace sluice::loader
