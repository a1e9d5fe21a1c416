#include "renderer/tally.h"

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
  const bool another = event.type == "run.started" && event.run && run() != nullptr &&
                       run()->number != event.run->number;
  if (another) {
    gatherer_.emplace(history::Gatherer::Wanted{});
    failed_.clear();
  }
  gatherer_->add(event);
  if (event.type == "job.finished" && event.job && event.element) {
    const std::string& name = event.element->name;
    const bool failure = event.outcome == "failure" || event.outcome == "error";
    if (failure || event.outcome == "success") std::erase(failed_, name);
    if (failure) failed_.push_back(name);
  } else if (event.type == "run.finished" && event.failures) {
    failed_.clear();
    for (const auto& failure : *event.failures) failed_.push_back(failure.element.name);
  }
}

std::optional<history::Summary> Tally::summary(std::size_t slowest) const {
  if (run() == nullptr) return std::nullopt;
  return history::summarise(history(), *run(), slowest);
}

std::string Tally::name_of(std::size_t job) const {
  const history::Job& one = history().jobs[job];
  if (one.element == history::kNone) return one.action;
  const std::string& name = history().runs[one.run].elements[one.element].name;
  const model::ActionTraits* const action = model::traits_named(one.action);
  const bool builds = action != nullptr && action->yields == Yields::kArtifact;
  return builds ? name : name + " (" + one.action + ")";
}

}  // namespace sluice::renderer
