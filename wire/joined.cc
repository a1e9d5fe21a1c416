#include "wire/joined.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::wire {

namespace {

std::string plan_path(const std::string& state) { return state + "/access/listen"; }

template <typename T>
Result<T> read_packed(const std::string& path) {
  const std::string bytes = TRY(read_file(path));
  auto value = decode<T>(bytes);
  if (!value)
    return fail("app", "damaged-access",
                fmt::format("{} can't be read: {}", path, value.error().message));
  return value;
}

}  // namespace

Result<ListenPlan> read_listen_plan(const std::string& state) {
  return read_packed<ListenPlan>(plan_path(state));
}

Status write_listen_plan(const std::string& state, const ListenPlan& plan) {
  CHECK(make_directories(state + "/access", 0700));
  return write_file_atomic(plan_path(state), encode(plan), 0600);
}

bool listens_on_tcp(const std::string& state) { return path_exists(plan_path(state)); }

Result<Address> address_of(const JoinTicket& ticket, std::string_view endpoint,
                           const CurveKeys& keys) {
  for (const auto& [name, port] : ticket.ports) {
    if (name != endpoint) continue;
    const bool v6 = ticket.host.find(':') != std::string::npos;
    return Address(fmt::format("tcp://{}{}{}:{}", v6 ? "[" : "", ticket.host, v6 ? "]" : "", port),
                   CurveClient{ticket.server_key, keys});
  }
  return fail(
      "app", "bad-join",
      fmt::format("The join file of session {} has no port for {}", ticket.session, endpoint));
}

Result<Joined> read_joined(const std::string& directory) {
  return read_packed<Joined>(directory + "/joined");
}

Status write_joined(const std::string& directory, const Joined& joined) {
  return write_file_atomic(directory + "/joined", encode(joined), 0600);
}

}  // namespace sluice::wire
