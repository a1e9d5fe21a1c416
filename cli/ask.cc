#include "cli/ask.h"

#include "base/try.h"
#include "cli/listening.h"
#include "wire/control.h"
#include "wire/hello.h"

namespace sluice::cli {

namespace {

// The session of a join file, as whoever observes or controls it sees it.
Result<SessionInfo> join_by_file(const std::string& path) {
  const wire::JoinTicket ticket = TRY(read_join_file(path));
  if (ticket.role == wire::text_of(wire::Role::kRunner))
    return fail("join", "bad-join",
                fmt::format("{} is for runners: use observe.json or control.json", path));
  auto place = std::make_shared<JoinPlace>(
      TRY(take_join_place(ticket.session, fmt::format("{}-{}", machine_name(), ticket.role))));
  CHECK(join_session(ticket, fmt::format("{}-{}", machine_name(), ticket.role), place->directory,
                     kJoinTimeout));
  SessionInfo info;
  info.paths = TRY(wire::SessionPaths::of(place->directory));
  info.alive = true;
  info.state = "active";
  info.place = std::move(place);
  return info;
}

}  // namespace

Result<SessionInfo> chosen_session(const Invocation& invocation, const std::string& id) {
  if (id.ends_with(".json")) return join_by_file(id);
  return choose_session(id, load_arguments(invocation.global).what.directory);
}

Result<wire::Reply> ask(const SessionInfo& session, std::string_view service,
                        std::string_view command, Duration timeout, const std::string& arguments) {
  wire::Context context;
  wire::Reactor reactor;
  auto client = TRY(wire::ControlClient::create(context, reactor, session.paths.address("control"),
                                                client_hello(wire::kControlProtocol)));
  std::optional<wire::Reply> answer;
  client->request(service, command, arguments, timeout, [&](const wire::Reply& reply) {
    answer = reply;
    reactor.stop();
  });
  reactor.run();
  client.reset();
  return std::move(*answer);
}

Result<wire::Reply> ask_done(const SessionInfo& session, std::string_view service,
                             std::string_view command, const std::string& arguments,
                             std::string_view verb) {
  auto reply = TRY(ask(session, service, command, kCommandTimeout, arguments));
  if (reply.status == "done" || reply.status == "accepted") return reply;
  if (reply.error) return tl::unexpected<Error>(reply.error->to_error());
  if (reply.status == "unknown")
    return fail("session", "unknown",
                fmt::format("No answer to '{}' in time: it may have been carried out", verb));
  return fail("session", "refused", fmt::format("'{}' was refused", verb));
}

}  // namespace sluice::cli
