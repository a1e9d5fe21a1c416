#include "broker/prefixes.h"

#include <algorithm>

#include "wire/access.h"
#include "wire/events.h"

namespace sluice::broker {

namespace {

// The topics of records that sluice's own processes publish (spec/records.md, "Events"), and the
// live ones that are one for a session.
constexpr std::string_view kEssential[] = {
    "status/",          "status/full/",        "status/lines/",    "log/",
    "session/started/", "session/suspended/",  "session/resumed/", "session/limits/",
    "session/ended/",   "run/started/",        "run/planned/",     "run/finished/",
    "element/state/",   "job/queued/",         "job/started/",     "job/finished/",
    "job/message/",     "prompt/opened/",      "prompt/closed/",   "runner/joined/",
    "runner/left/",     "runner/quarantined/", "message/",         "error/",
    wire::kLogFrom};

// "remote/observe" of "remote/observe/eve".
std::string_view role_of(std::string_view user_id) {
  const auto slash = user_id.rfind('/');
  return slash == std::string_view::npos ? user_id : user_id.substr(0, slash);
}

std::size_t count(const auto& counts, const auto& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

void take_one_off(auto& counts, const auto& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

bool Prefixes::essential(std::string_view prefix) {
  return std::any_of(std::begin(kEssential), std::end(kEssential),
                     [&](std::string_view topic) { return topic.starts_with(prefix); });
}

// An essential prefix has none: the user id is "".
Prefixes::Payer Prefixes::payer(std::string_view prefix, std::string_view user_id) {
  if (essential(prefix)) return {false, std::string()};
  return {prefix.starts_with(wire::kLogFrom),
          user_id.empty() ? std::string("unknown") : std::string(user_id)};
}

bool Prefixes::has_room(const Payer& payer) const {
  if (payer.second.empty()) return true;
  if (payer.second == wire::kOwnerId) return count(of_key_, payer) < kMostOfOwner;
  return count(of_key_, payer) < kMostOfKey &&
         count(of_role_, Payer{payer.first, role_of(payer.second)}) < kMostOfRole;
}

void Prefixes::hold(std::string_view prefix, const Payer& payer) {
  held_.emplace(prefix, payer);
  if (payer.second.empty()) return;
  ++of_key_[payer];
  ++of_role_[Payer{payer.first, role_of(payer.second)}];
}

Prefixes::Added Prefixes::add(std::string_view prefix, std::string_view user_id) {
  if (held_.contains(prefix)) return Added::kKnown;
  const Payer paid_by = payer(prefix, user_id);
  const auto waits = waits_for_.find(prefix);
  if (has_room(paid_by)) {
    // Another one who wants it has no room.
    if (waits != waits_for_.end()) wait_no_more(waits);
    hold(prefix, paid_by);
    return Added::kHeld;
  }
  if (waits != waits_for_.end()) return Added::kWaits;
  const auto queue = waiting_.find(paid_by);
  if (waits_for_.size() >= kMostWait ||
      (queue != waiting_.end() && queue->second.size() >= kMostWaitOfKey))
    return Added::kForgotten;
  waiting_[paid_by].emplace_back(prefix);
  waits_for_.emplace(prefix, paid_by);
  return Added::kWaits;
}

Prefixes::Removed Prefixes::remove(std::string_view prefix) {
  Removed removed;
  if (const auto waits = waits_for_.find(prefix); waits != waits_for_.end()) {
    wait_no_more(waits);
    return removed;
  }
  const auto found = held_.find(prefix);
  if (found == held_.end()) return removed;
  removed.held = true;
  const Payer paid_by = found->second;
  held_.erase(found);
  if (paid_by.second.empty()) return removed;
  const Payer role{paid_by.first, role_of(paid_by.second)};
  const bool role_was_full = count(of_role_, role) >= kMostOfRole;
  take_one_off(of_key_, paid_by);
  take_one_off(of_role_, role);
  take_up(waiting_.find(paid_by), removed.taken);
  if (!role_was_full) return removed;
  for (auto queue = waiting_.begin(); queue != waiting_.end() && removed.taken.empty();)
    take_up(queue++, removed.taken);
  return removed;
}

// Holds as much of what a payer waits for as there is room for.
void Prefixes::take_up(Waiting::iterator queue, std::vector<std::string>& taken) {
  if (queue == waiting_.end()) return;
  while (!queue->second.empty() && has_room(queue->first)) {
    taken.push_back(std::move(queue->second.front()));
    queue->second.pop_front();
    waits_for_.erase(taken.back());
    hold(taken.back(), queue->first);
  }
  if (queue->second.empty()) waiting_.erase(queue);
}

void Prefixes::wait_no_more(std::map<std::string, Payer, std::less<>>::iterator waits) {
  const auto queue = waiting_.find(waits->second);
  std::erase(queue->second, waits->first);
  if (queue->second.empty()) waiting_.erase(queue);
  waits_for_.erase(waits);
}

bool Prefixes::wanted(std::string_view topic) const {
  for (std::size_t length = 0; length <= topic.size(); ++length) {
    if (held_.contains(topic.substr(0, length))) return true;
  }
  return false;
}

}  // namespace sluice::broker
