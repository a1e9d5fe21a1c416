#include "renderer/page/session_digest.h"

#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/try.h"
#include "renderer/page/digest.h"
#include "wire/events.h"
#include "wire/record_file.h"

namespace sluice::renderer {

namespace {

// Keeps the last lines of logs while there is room for them; instead of others stands where the log
// is. What the end of a job has said isn't said again at the end of its run.
class Tails {
 public:
  explicit Tails(std::size_t room) : room_(room) {}

  void limit(wire::Event& event) {
    if (event.job && !event.log_tail.empty()) {
      said_.insert({event.job->id, event.job->attempt});
      limit(event.log_tail, event.job->log_file);
    }
    if (!event.failures) return;
    for (wire::FailureSection& failure : *event.failures) {
      if (said_.contains({failure.job.id, failure.job.attempt})) {
        failure.log_tail.clear();
      } else {
        limit(failure.log_tail, failure.job.log_file);
      }
    }
  }

 private:
  void limit(std::string& tail, const std::string& log) {
    if (tail.size() <= room_) {
      room_ -= tail.size();
    } else {
      tail = fmt::format(
          "The last lines of this log are left out: the page has too many such "
          "lines already. The log is {}\n",
          log);
    }
  }

  std::size_t room_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> said_;  // attempts
};

}  // namespace

Result<std::string> session_digest(const wire::SessionPaths& paths,
                                   const std::function<void(std::string_view packed)>& also,
                                   std::size_t most_tails) {
  Tails tails(most_tails);
  std::vector<std::string> events;
  // Where the start of an attempt is, which its end says again, and the last state of an element.
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::size_t> started;
  std::unordered_map<std::string, std::size_t> states;
  TRY(wire::read_records(paths, 1, [&](std::string_view packed) {
    if (also) also(packed);
    auto event = wire::decode_event(packed);
    if (!event) return true;
    tails.limit(*event);
    std::string json = page_event(*event);
    if (json.empty()) return true;
    if (event->job && event->type == "job.started") {
      started[{event->job->id, event->job->attempt}] = events.size();
    } else if (event->job && event->type == "job.finished") {
      if (const auto at = started.find({event->job->id, event->job->attempt}); at != started.end())
        events[at->second].clear();
    } else if (event->type == "element.state") {
      const auto [at, fresh] = states.try_emplace(event->element->name, events.size());
      if (!fresh) events[std::exchange(at->second, events.size())].clear();
    } else if (event->type == "run.started") {
      // What it says of states is newer.
      states.clear();
    }
    events.push_back(std::move(json));
    return true;
  }));
  std::string out = "[";
  for (const std::string& event : events) {
    if (event.empty()) continue;
    if (out.size() > 1) out += ",\n";
    out += event;
  }
  return out + "]";
}

}  // namespace sluice::renderer
