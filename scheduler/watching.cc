#include "scheduler/watching.h"

#include <set>

#include "base/text.h"

namespace sluice::scheduler {

namespace {

bool is_same(const wire::Watch& a, const wire::Watch& b) {
  return a.steps == b.steps && a.lines == b.lines;
}

}  // namespace

std::vector<std::pair<std::string, wire::Watch>> Watching::to_tell(const Session& session,
                                                                   const Fleet& fleet) {
  std::vector<std::pair<std::string, wire::Watch>> out;
  std::map<std::string, wire::Watch> now;
  if (wanted_.steps || wanted_.lines) {
    std::size_t shown = 0;
    for (const std::uint64_t id : session.running) {
      if (shown++ == kActiveShown) break;
      const Attempt& attempt = session.attempts.at(id);
      if (attempt.traits().brief || now.contains(attempt.runner)) continue;
      const Runner* const runner = fleet.find(attempt.runner);
      if (runner == nullptr) continue;
      now.emplace(attempt.runner, wanted_);
      const auto told = told_.find(attempt.runner);
      if (told == told_.end() || !is_same(told->second, wanted_))
        out.emplace_back(runner->peer, wanted_);
    }
  }
  for (const auto& [instance, told] : told_) {
    const Runner* const runner = now.contains(instance) ? nullptr : fleet.find(instance);
    if (runner != nullptr) out.emplace_back(runner->peer, wire::Watch{});
  }
  told_ = std::move(now);
  return out;
}

void Watching::take(const wire::JobProgress& progress) {
  wire::JobProgress& says = says_[progress.id];
  says = progress;
  limit_text(says.step, wire::kMostStep);
  limit_text(says.line, wire::kMostLine);
}

const wire::JobProgress* Watching::of(const wire::JobId& id) const {
  const auto found = says_.find(id);
  return found == says_.end() ? nullptr : &found->second;
}

}  // namespace sluice::scheduler
