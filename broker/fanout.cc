#include "broker/fanout.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "broker/link_core.h"
#include "wire/codec.h"
#include "wire/events.h"

namespace sluice::broker {

void Fanout::events(int limit) {
  for (int i = 0; i < limit; ++i) {
    wire::Received message;
    if (!in_.receive(message)) return;
    const auto frames = message.frames();
    // The topics of records are the broker's own: nobody else can say that something stands in the
    // log.
    const bool live = frames.size() >= 2 && frames[0].size() <= kMaxTopic &&
                      (frames[0].starts_with("status/") || frames[0].starts_with("log/") ||
                       frames[0].starts_with(wire::kLogFrom));
    if (!live || !wire::map_entries(frames[1])) {
      ++malformed_;
      continue;
    }
    if (!allowed(frames, message.user_id())) {
      ++malformed_;
      const auto who = wire::identity_of(message.user_id());
      const std::string name = who ? who->name : std::string();
      if (const std::uint64_t times = refused_.note(name))
        log::warn("{} may not publish what it did under {} ({} times so far)", name,
                  clean(frames[0]), times);
      continue;
    }
    out_.send(wire::Frames{std::string(frames[0]), std::string(frames[1])});
  }
}

// A runner from elsewhere may show the logs of its own attempts, which a third frame shows: the
// attempt's ticket.
bool Fanout::allowed(std::span<const std::string_view> frames, std::string_view user_id) const {
  const auto who = wire::identity_of(user_id);
  if (!who) return false;
  if (!who->remote) return frames.size() <= 3;
  if (who->role != wire::Role::kRunner || who->enrols || frames.size() != 3) return false;
  const auto event = wire::decode_event(frames[1]);
  return event && event->job &&
         (frames[0] == fmt::format("log/{}/", event->job->id) ||
          frames[0].starts_with(fmt::format("{}{}/", wire::kLogFrom, event->job->id))) &&
         good_ticket(frames[1], frames[2], ticket_secret_, who->name);
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
