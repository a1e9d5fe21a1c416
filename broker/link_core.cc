#include "broker/link_core.h"

#include <algorithm>

#include <openssl/crypto.h>

#include "wire/events.h"
#include "wire/session.h"

namespace sluice::broker {

namespace {

// "remote/observe" of "remote/observe/eve"; of an enrolment key "enrols/observe".
std::string_view role_of(std::string_view user_id) {
  const auto slash = user_id.rfind('/');
  return slash == std::string_view::npos ? user_id : user_id.substr(0, slash);
}

std::size_t most_of_key(std::string_view user_id) {
  if (user_id == wire::kOwnerId) return kMaxPeers;
  return user_id.starts_with("enrols/") ? kMaxPeersEnrolling : kMaxPeersOfKey;
}

void take_one_off(std::map<std::string, std::size_t, std::less<>>& counts, std::string_view key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

bool PeerCounts::has_room(std::string_view user_id) const {
  const auto below = [](const auto& counts, std::string_view key, std::size_t most) {
    const auto found = counts.find(key);
    return found == counts.end() || found->second < most;
  };
  return below(of_key_, user_id, most_of_key(user_id)) &&
         below(of_role_, role_of(user_id), kMaxPeers);
}

void PeerCounts::add(std::string_view user_id) {
  ++of_key_[std::string(user_id)];
  ++of_role_[std::string(role_of(user_id))];
}

void PeerCounts::remove(std::string_view user_id) {
  take_one_off(of_key_, user_id);
  take_one_off(of_role_, role_of(user_id));
}

tl::expected<Admitted, std::string_view> admit(std::string_view body, std::string_view protocol,
                                               const Sender& sender, bool has_room) {
  auto hello = wire::decode<wire::Hello>(body);
  if (!hello) return tl::unexpected<std::string_view>(wire::kMalformed);
  const std::string_view wrong = wire::wrong_hello(*hello, protocol);
  if (!wrong.empty()) return tl::unexpected<std::string_view>(wrong);
  if (!has_room) return tl::unexpected<std::string_view>(wire::kTooManyPeers);
  auto who = wire::identity_of(sender.user_id);
  if (!who) return tl::unexpected<std::string_view>(kNotAllowed);
  if (who->remote) {
    // No process of the session comes from elsewhere, and nobody has another's name.
    if (hello->service) return tl::unexpected<std::string_view>(wire::kNotOfSession);
    if (!who->enrols) hello->instance = who->name;
  }
  return Admitted{std::move(*hello), std::move(*who)};
}

namespace {

// Of a key that is there twice readers take either: one of them would be another attempt's.
bool each_key_once(std::string_view packed) {
  auto entries = wire::map_entries(packed);
  if (!entries) return false;
  for (const auto& [key, value] : *entries) {
    if ((key == "job" || key == "element") && !each_key_once(value)) return false;
  }
  std::sort(entries->begin(), entries->end());
  return std::adjacent_find(entries->begin(), entries->end(), [](const auto& a, const auto& b) {
           return a.first == b.first;
         }) == entries->end();
}

}  // namespace

bool good_ticket(std::string_view packed, std::string_view ticket, std::string_view secret,
                 std::string_view name) {
  if (!each_key_once(packed)) return false;
  const auto event = wire::decode_event(packed);
  if (!event || !event->job || secret.empty() || event->job->runner != name) return false;
  const std::string element = event->element ? event->element->name : std::string();
  const std::string right =
      wire::job_ticket(secret, event->job->id, event->job->attempt, name, element);
  // The time that it takes tells nothing of where they differ.
  return right.size() == ticket.size() &&
         CRYPTO_memcmp(right.data(), ticket.data(), right.size()) == 0;
}

wire::Welcome welcome_to(const SessionIdentity& session) {
  wire::Welcome welcome;
  welcome.session = session.session;
  welcome.epoch = session.epoch;
  welcome.heartbeat_ms = kHeartbeatMs;
  return welcome;
}

}  // namespace sluice::broker
