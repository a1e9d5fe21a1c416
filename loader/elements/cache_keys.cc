#include "loader/elements/cache_keys.h"

#include <algorithm>
#include <cassert>

#include "yaml/json.h"

namespace sluice::loader {

namespace {

// The beginning of the dictionary, whose keys are sorted: this one and "dependencies" are first.
constexpr std::string_view kVersion = "{\"core-artifact-version\":11";
constexpr std::string_view kBeginning = "{\"core-artifact-version\":11,\"dependencies\":[";

// States of the hash are kept this many dependencies apart.
constexpr std::uint32_t kStateDistance = 16;

// Hashes what comes behind the list of dependencies, up to the closing brace or the weak key.
void write_tail(Sha256& hash, const ResolvedElement& element) {
  hash.update("]");
  hash.update(element.key_tail);
}

}  // namespace

std::string key_without_dependencies(const ResolvedElement& element) {
  Sha256 hash;
  hash.update(kBeginning);
  write_tail(hash, element);
  hash.update("}");
  return hash.hex();
}

std::string key_inputs(const ResolvedElement& element) {
  std::string inputs(kVersion);
  inputs += element.key_tail;
  return inputs + '}';
}

KeyMaker::KeyMaker(const std::vector<LoadElement>& elements,
                   const std::vector<ResolvedElement>& resolved)
    : elements_(elements), resolved_(resolved), weak_(elements.size()), strict_(elements.size()),
      closures_(elements.size()), marks_(elements.size()) {
  segments_.push_back({});
  for (int flavour : {0, 1, 2}) {
    states_[flavour].emplace_back();
    states_[flavour].back().update(kBeginning);
  }
}

KeyMaker::Sequence KeyMaker::append(Sequence before, std::uint32_t first) {
  Segment segment;
  segment.before = before;
  segment.first = first;
  segment.count = static_cast<std::uint32_t>(runs_.size()) - first;
  if (segment.count == 0) return before;
  const Segment& last = segments_[before];
  const Segment& jump = segments_[last.jump];
  segment.depth = last.depth + 1;
  segment.jump =
      last.depth - jump.depth == jump.depth - segments_[jump.jump].depth ? jump.jump : before;
  segment.complete = last.complete;
  segment.full = last.full;
  for (const LoadIndex element : own(segment)) {
    segment.complete = segment.complete && strict_[element].known();
    segment.full = segment.full && !full_.empty() && full_[element].known();
  }
  segments_.push_back(segment);
  return static_cast<Sequence>(segments_.size() - 1);
}

bool KeyMaker::begins_with(Sequence sequence, Sequence beginning) const {
  const std::uint32_t depth = segments_[beginning].depth;
  while (segments_[sequence].depth > depth) {
    const Segment& at = segments_[sequence];
    sequence = segments_[at.jump].depth >= depth ? at.jump : at.before;
  }
  return sequence == beginning;
}

template <typename F>
void KeyMaker::forward(Sequence sequence, F&& f) const {
  path_.clear();
  for (; sequence != 0; sequence = segments_[sequence].before) path_.push_back(sequence);
  for (auto at = path_.rbegin(); at != path_.rend(); ++at) f(segments_[*at]);
}

void KeyMaker::Union::add(Sequence more) {
  // All of the sequence would come first in `more` too, in the same order.
  if (maker_.begins_with(more, sequence_)) {
    marked_ = marked_ && more == sequence_;
    sequence_ = more;
    return;
  }
  const std::uint64_t key = (std::uint64_t{sequence_} << 32) | more;
  if (const auto known = maker_.united_.find(key); remember_ && known != maker_.united_.end()) {
    marked_ = marked_ && known->second == sequence_;
    sequence_ = known->second;
    return;
  }
  std::vector<LoadIndex>& runs = maker_.runs_;
  std::vector<std::uint32_t>& marks = maker_.marks_;
  if (!marked_) {
    ++maker_.round_;
    for (Sequence at = sequence_; at != 0; at = maker_.segments_[at].before) {
      for (const LoadIndex element : maker_.own(maker_.segments_[at]))
        marks[element] = maker_.round_;
    }
    marked_ = true;
  }
  const auto first = static_cast<std::uint32_t>(runs.size());
  maker_.forward(more, [&](const Segment& segment) {
    for (std::uint32_t i = segment.first; i < segment.first + segment.count; ++i) {
      const LoadIndex element = runs[i];
      if (marks[element] == maker_.round_) continue;
      marks[element] = maker_.round_;
      runs.push_back(element);
    }
  });
  sequence_ = maker_.append(sequence_, first);
  if (remember_) maker_.united_.emplace(key, sequence_);
}

KeyMaker::Sequence KeyMaker::runtime_closure(LoadIndex element) {
  if (closures_[element] != 0) return closures_[element];
  std::vector<LoadIndex> path = {element};
  while (!path.empty()) {
    const LoadIndex current = path.back();
    const std::size_t before = path.size();
    for (const LoadIndex below : runtime(current)) {
      if (closures_[below] == 0) {
        path.push_back(below);
        break;
      }
    }
    if (path.size() > before) continue;
    Union all(*this, false);
    for (const LoadIndex below : runtime(current)) all.add(closures_[below]);
    const auto first = static_cast<std::uint32_t>(runs_.size());
    runs_.push_back(current);
    closures_[current] = append(all.result(), first);
    path.pop_back();
  }
  return closures_[element];
}

KeyMaker::Sequence KeyMaker::build_closure(LoadIndex element) {
  // All closures are made before the first union, since there is one round of marks at a time.
  for (const LoadIndex below : resolved_[element].build) runtime_closure(below);
  Union all(*this, true);
  for (const LoadIndex below : resolved_[element].build) all.add(closures_[below]);
  return all.result();
}

void KeyMaker::write_entry(std::string& out, LoadIndex element, const Key* key) const {
  out += '[';
  json_string(out, elements_[element].project->name);
  out += ',';
  json_string(out, elements_[element].name);
  if (key != nullptr) {
    out += ",\"";
    out += key->text();
    out += '"';
  }
  out += ']';
}

Sha256 KeyMaker::state_of(Sequence sequence, Flavour flavour) {
  const auto kind = static_cast<std::size_t>(flavour);
  // The hash goes on from the last state that is kept.
  path_.clear();
  Sequence at = sequence;
  for (; at != 0 && segments_[at].states[kind] == 0; at = segments_[at].before) {
    path_.push_back(at);
  }
  Sha256 hash = states_[kind][segments_[at].states[kind]];
  std::string text;
  std::size_t since = 0;
  for (auto next = path_.rbegin(); next != path_.rend(); ++next) {
    Segment& segment = segments_[*next];
    for (std::uint32_t i = 0; i < segment.count; ++i) {
      if (segment.before != 0 || i > 0) text += ',';
      const LoadIndex element = runs_[segment.first + i];
      write_entry(text, element,
                  flavour == Flavour::kStrict   ? &strict_[element]
                  : flavour == Flavour::kStrong ? &full_[element]
                                                : nullptr);
    }
    since += segment.count;
    const bool end = *next == sequence;
    if (!end && since < kStateDistance) continue;
    hash.update(text);
    text.clear();
    if (since < kStateDistance) continue;
    since = 0;
    segment.states[kind] = static_cast<std::uint32_t>(states_[kind].size());
    states_[kind].push_back(hash);
  }
  return hash;
}

void KeyMaker::set_full(LoadIndex element, std::string_view key) {
  if (full_.empty()) full_.resize(elements_.size());
  full_[element] = Key(key);
}

std::string KeyMaker::strong(LoadIndex index) {
  const Sequence sequence = build_closure(index);
  if (!weak_[index].known() || !segments_[sequence].full) return "";
  Sha256 hash = state_of(sequence, Flavour::kStrong);
  write_tail(hash, resolved_[index]);
  hash.update(",\"weak-cache-key\":\"");
  hash.update(weak_[index].text());
  hash.update("\"}");
  return hash.hex();
}

model::Keys KeyMaker::make(LoadIndex index) {
  const ResolvedElement& element = resolved_[index];
  model::Keys keys;
  if (element.key_tail.empty()) return keys;
  const Sequence sequence = build_closure(index);

  if (!element.strict_rebuild && element.strict.empty()) {
    Sha256 hash = state_of(sequence, Flavour::kWeak);
    write_tail(hash, element);
    hash.update("}");
    keys.weak = hash.hex();
  } else {
    std::vector<LoadIndex> dependencies;
    forward(sequence, [&](const Segment& segment) {
      const auto elements = own(segment);
      dependencies.insert(dependencies.end(), elements.begin(), elements.end());
    });
    Sha256 hash;
    std::string text(kBeginning);
    bool known = true;
    for (std::size_t i = 0; i < dependencies.size(); ++i) {
      const LoadIndex dependency = dependencies[i];
      const bool strict = element.strict_rebuild ||
                          std::find(element.strict.begin(), element.strict.end(), dependency) !=
                              element.strict.end();
      if (i > 0) text += ',';
      if (strict && !weak_[dependency].known()) known = false;
      write_entry(text, dependency, strict ? &weak_[dependency] : nullptr);
    }
    if (!known) return keys;
    hash.update(text);
    write_tail(hash, element);
    hash.update("}");
    keys.weak = hash.hex();
  }

  weak_[index] = Key(keys.weak);
  if (!segments_[sequence].complete) return keys;
  Sha256 hash = state_of(sequence, Flavour::kStrict);
  write_tail(hash, element);
  hash.update(",\"weak-cache-key\":\"");
  hash.update(keys.weak);
  hash.update("\"}");
  keys.strict = hash.hex();
  strict_[index] = Key(keys.strict);
  return keys;
}

}  // namespace sluice::loader
