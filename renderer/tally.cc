#include "renderer/tally.h"

#include <algorithm>

#include "model/action_named.h"

namespace sluice::renderer {

using model::Caches;
using model::Yields;

std::string_view done_word(const model::ActionTraits* action) {
  if (action == nullptr) return "done";
  switch (action->yields) {
    case Yields::kRefs: return "tracked";
    case Yields::kSources: return "fetched";
    case Yields::kArtifact: return "built";
    case Yields::kPulledArtifact: return "pulled";
    case Yields::kNothing: break;
  }
  return action->to == Caches::kNone ? "done" : "pushed";
}

void Tally::record(const wire::Event& event) {
  if (event.type == "run.started") {
    start(event);
  } else if (event.type == "job.finished") {
    finished_job(event);
  } else if (event.type == "run.finished") {
    if (verb_.empty() && event.run) verb_ = event.run->verb;
    if (event.progress) progress_ = *event.progress;
    finished_ = true;
    if (event.failures) {
      failed_.clear();
      for (const auto& failure : *event.failures) failed_.push_back(failure.element.name);
    }
  }
}

void Tally::start(const wire::Event& event) {
  *this = Tally();
  if (event.run) {
    verb_ = event.run->verb;
    progress_.elements = event.run->elements;
  }
  if (!event.elements) return;
  for (const auto& element : *event.elements) {
    index_.emplace(element.name, static_cast<std::uint32_t>(names_.size()));
    names_.push_back(element.name);
  }
  elements_.resize(names_.size());
  if (event.plan && event.plan->dependencies.size() == names_.size())
    dependencies_ = event.plan->dependencies;
}

void Tally::finished_job(const wire::Event& event) {
  if (!event.job || !event.element) return;
  const std::string& name = event.element->name;
  const auto outcome = event.outcome;
  const auto failed = [&] { return std::find(failed_.begin(), failed_.end(), name); };
  const bool failure = outcome == "failure" || outcome == "error" || event.level == "failure";
  if (failure) {
    if (failed() != failed_.end()) failed_.erase(failed());
    failed_.push_back(name);
  }
  progress_.failed = static_cast<std::uint32_t>(failed_.size());
  const bool success = outcome == "success";
  const model::ActionTraits* action = model::traits_named(event.job->action);
  if (success && action != nullptr) {
    if (failed() != failed_.end()) failed_.erase(failed());
    progress_.failed = static_cast<std::uint32_t>(failed_.size());
    const std::string_view word = event.origin.empty() ? done_word(action) : event.origin;
    if (word == done_word(&model::traits(model::Action::kBuild))) ++progress_.built;
    if (word == done_word(&model::traits(model::Action::kPull))) ++progress_.pulled;
    if (word == done_word(&model::traits(model::Action::kFetch))) ++progress_.fetched;
    if (action->yields == Yields::kRefs) ++tracked_;
    if (action->to != Caches::kNone) ++pushed_;
  }
  const auto found = index_.find(name);
  if (found == index_.end()) return;
  Element& element = elements_[found->second];
  element.own += event.job->elapsed;
  if (success && action != nullptr && action->yields == Yields::kArtifact)
    element.built = event.job->elapsed;
  element.chain = element.own;
  element.before = 0;
  if (dependencies_.empty()) return;
  std::int64_t longest = 0;
  for (const std::uint32_t other : dependencies_[found->second]) {
    if (other >= elements_.size() || elements_[other].chain <= longest) continue;
    longest = elements_[other].chain;
    element.before = other + 1;
  }
  element.chain += longest;
}

std::uint32_t Tally::not_reached() const {
  const std::uint32_t reached = progress_.done + progress_.failed;
  if (finished_ && progress_.done > 0)
    return progress_.elements > reached ? progress_.elements - reached : 0;
  return progress_.blocked;
}

std::vector<std::pair<std::size_t, std::string_view>> Tally::counts() const {
  std::vector<std::pair<std::size_t, std::string_view>> out = {
      {failed_.size(), "failed"},     {progress_.built, "built"},     {progress_.pulled, "pulled"},
      {progress_.fetched, "fetched"}, {tracked_, "tracked"},          {pushed_, "pushed"},
      {progress_.cached, "cached"},   {not_reached(), "not reached"},
  };
  std::erase_if(out, [](const auto& one) { return one.first == 0; });
  return out;
}

std::vector<Tally::Took> Tally::slowest(std::size_t count) const {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < elements_.size(); ++i) {
    if (elements_[i].built > 0) order.push_back(i);
  }
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return elements_[a].built != elements_[b].built
                                 ? elements_[a].built > elements_[b].built
                                 : a < b;
                    });
  std::vector<Took> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({names_[order[i]], elements_[order[i]].built});
  return out;
}

std::pair<std::int64_t, std::vector<std::string>> Tally::critical() const {
  std::pair<std::int64_t, std::vector<std::string>> out;
  if (dependencies_.empty()) return out;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < elements_.size(); ++i) {
    if (elements_[i].chain > out.first) {
      out.first = elements_[i].chain;
      last = i + 1;
    }
  }
  // No chain is longer than the plan; what says otherwise goes round in circles.
  while (last != 0 && out.second.size() < elements_.size()) {
    out.second.push_back(names_[last - 1]);
    last = elements_[last - 1].before;
  }
  std::reverse(out.second.begin(), out.second.end());
  return out;
}

}  // namespace sluice::renderer
