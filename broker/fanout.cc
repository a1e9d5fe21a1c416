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
  if (who->role != wire::Role::kRunner || who->enrols || frames.size() != 3 ||
      frames[1].size() > kMaxRemoteEvent)
    return false;
  const auto event = wire::decode_event(frames[1]);
  return event && event->job &&
         (frames[0] == fmt::format("log/{}/", event->job->id) ||
          frames[0].starts_with(fmt::format("{}{}/", wire::kLogFrom, event->job->id))) &&
         good_ticket(frames[1], frames[2], ticket_secret_, who->name);
}

void Fanout::subscriptions(int limit) {
  wire::Received message;
  for (int i = 0; i < limit && out_.receive(message); ++i) {
    const auto frames = message.frames();
    if (frames.size() != 1 || frames[0].empty() || frames[0].size() > kMaxTopic + 1 ||
        static_cast<unsigned char>(frames[0][0]) > 1) {
      ++malformed_;
      continue;
    }
    subscription(frames[0], message.user_id());
  }
}

void Fanout::subscription(std::string_view said, std::string_view user_id) {
  const std::string_view prefix = said.substr(1);
  if (said.front() == 0) {
    const Prefixes::Removed removed = prefixes_.remove(prefix);
    if (removed.held) pass_on(false, prefix);
    for (const std::string& taken : removed.taken) pass_on(true, taken);
    return;
  }
  const Prefixes::Added added = prefixes_.add(prefix, user_id);
  if (added == Prefixes::Added::kHeld) return pass_on(true, prefix);
  if (added == Prefixes::Added::kKnown) return;
  if (added == Prefixes::Added::kForgotten) ++malformed_;
  const auto who = wire::identity_of(user_id);
  const std::string name = who && who->remote ? who->name : std::string(wire::kOwnerId);
  if (const std::uint64_t times = over_.note(name))
    log::warn("{} subscribes to more topics than there is room for ({} times so far)", name, times);
}

void Fanout::pass_on(bool begins, std::string_view prefix) {
  std::string frame(1, begins ? '\1' : '\0');
  frame += prefix;
  in_.send(wire::Frames{std::move(frame)});
}

void Fanout::publish(std::string_view type, std::string_view stamped) {
  if (prefixes_.empty()) return;
  const std::string topic = wire::topic_of(type);
  if (prefixes_.wanted(topic)) out_.send(topic, std::string(stamped));
}

}  // namespace sluice::broker
