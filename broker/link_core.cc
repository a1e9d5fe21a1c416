#include "broker/link_core.h"

namespace sluice::broker {

tl::expected<wire::Hello, std::string_view> admit(std::string_view body, std::string_view protocol,
                                                  bool has_room) {
  auto hello = wire::decode<wire::Hello>(body);
  if (!hello) return tl::unexpected<std::string_view>(wire::kMalformed);
  const std::string_view wrong = wire::wrong_hello(*hello, protocol);
  if (!wrong.empty()) return tl::unexpected<std::string_view>(wrong);
  if (!has_room) return tl::unexpected<std::string_view>("too-many-peers");
  return std::move(*hello);
}

wire::Welcome welcome_to(const SessionIdentity& session) {
  wire::Welcome welcome;
  welcome.session = session.session;
  welcome.epoch = session.epoch;
  welcome.heartbeat_ms = kHeartbeatMs;
  return welcome;
}

}  // namespace sluice::broker
