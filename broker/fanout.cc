#include "broker/fanout.h"

#include "wire/codec.h"
#include "wire/events.h"

namespace sluice::broker {

void Fanout::events(int limit) {
  for (int i = 0; i < limit; ++i) {
    const auto frames = in_.receive();
    if (!frames) return;
    // The topics of records are the broker's own: nobody else can say that something stands in the
    // log.
    const bool live = frames->size() == 2 && (*frames)[0].size() <= kMaxTopic &&
                      ((*frames)[0].starts_with("status/") || (*frames)[0].starts_with("log/"));
    if (!live || !wire::map_entries((*frames)[1])) {
      ++malformed_;
      continue;
    }
    out_.send(*frames);
  }
}

void Fanout::subscriptions(int limit) {
  for (int i = 0; i < limit; ++i) {
    const auto frames = out_.receive();
    if (!frames) return;
    if (frames->size() != 1 || (*frames)[0].empty() || (*frames)[0].size() > kMaxTopic + 1 ||
        (*frames)[0][0] > 1) {
      ++malformed_;
      continue;
    }
    const std::string_view prefix = std::string_view((*frames)[0]).substr(1);
    if ((*frames)[0][0] == 1) {
      if (prefixes_.size() >= kMaxPrefixes) {
        ++malformed_;
        continue;
      }
      prefixes_.emplace(prefix);
    } else {
      const auto found = prefixes_.find(prefix);
      if (found == prefixes_.end()) continue;
      prefixes_.erase(found);
    }
    in_.send(*frames);
  }
}

void Fanout::publish(std::string_view type, std::string_view stamped) {
  if (prefixes_.empty()) return;
  const std::string topic = wire::topic_of(type);
  if (wanted(topic)) out_.send(topic, std::string(stamped));
}

bool Fanout::wanted(std::string_view topic) const {
  for (std::size_t length = 0; length <= topic.size(); ++length) {
    if (prefixes_.contains(topic.substr(0, length))) return true;
  }
  return false;
}

}  // namespace sluice::broker
