#include "renderer/heartbeat.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "model/actions.h"
#include "renderer/spans.h"

namespace sluice::renderer {

namespace {

constexpr std::size_t kNamed = 3;

}  // namespace

void Heartbeat::record(const wire::Event& event, bool shown) {
  if (event.type == "run.started") running_ = true;
  if (event.type == "run.finished" || event.type == "session.ended") running_ = false;
  if (shown || event.type == "run.started") last_ = clock_.monotonic();
}

std::string Heartbeat::topic() const {
  const bool silent = silence_ > Duration::zero() && clock_.monotonic() >= last_ + silence_;
  return running_ && silent ? "status/" : "";
}

std::optional<Duration> Heartbeat::due() const {
  if (!running_ || silence_ <= Duration::zero()) return std::nullopt;
  const Duration left = last_ + silence_ - clock_.monotonic();
  // Once it is silent the answer wakes us.
  if (left <= Duration::zero()) return std::nullopt;
  return left;
}

std::string Heartbeat::live(std::string_view packed, bool spoken) {
  if (topic().empty()) return {};
  const auto event = wire::decode_event(packed);
  if (!event || event->type != "status") return {};
  last_ = clock_.monotonic();
  const auto& build = model::traits(model::Action::kBuild);
  std::string out;
  std::size_t all = 0, named = 0;
  bool builds = true;
  if (event->active) {
    all = std::max<std::size_t>(event->active->total, event->active->jobs.size());
    for (const auto& job : event->active->jobs) {
      builds = builds && job.action == build.name;
      if (named == kNamed) continue;
      ++named;
      const std::string time =
          spoken ? " for " + spoken_time(job.elapsed) : " " + brief_time(job.elapsed);
      const std::string action =
          job.action == build.name ? std::string() : fmt::format(" ({})", clean_line(job.action));
      out += (out.empty() ? "" : ", ") + clean_line(job.element) + action + time;
    }
  }
  if (all > named) out += fmt::format(" and {} more", all - named);
  std::string far;
  if (event->progress) {
    far = fmt::format(", {} of {} done", event->progress->done, event->progress->elements);
  }
  if (event->session && event->session->state == "suspended") return "All jobs are suspended" + far;
  if (all == 0) {
    return (event->text.empty() ? std::string("No job runs") : clean_line(event->text)) + far;
  }
  return (builds ? "Still building: " : "Still at work: ") + out + far;
}

}  // namespace sluice::renderer
