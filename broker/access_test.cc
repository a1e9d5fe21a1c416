// spec/access.md: what the broker takes from somebody who comes from elsewhere.
#include <filesystem>

#include <fmt/format.h>

#include "broker/control_link.h"
#include "broker/enrolment.h"
#include "broker/link_fakes.h"
#include "broker/records_link.h"
#include "tests/support/test_directory.h"
#include "wire/events.h"
#include "wire/session.h"

using namespace sluice;
using namespace sluice::broker;

namespace {

const std::string kSecret(32, 's');

std::string user(std::string_view role, std::string name, bool enrols = false) {
  wire::AccessEntry entry;
  entry.role = role;
  entry.name = std::move(name);
  entry.enrols = enrols;
  return wire::user_id_of(entry);
}

struct Control {
  FakeClock clock;
  FakeSocket socket;
  ControlLink link{{"s", 1}, socket.send(), [] { return std::vector<wire::Peer>{}; }, clock};

  // What the broker says to a HELLO of that user, and then to a request.
  std::string hello(const std::string& identity, const std::string& user_id,
                    const std::string& instance = "me", bool service = false) {
    link.handle(identity, frames_of(hello_of("control/1", "client", instance, 1, service)),
                {false, user_id});
    return socket.take(identity);
  }
  wire::Reply ask(const std::string& identity, const std::string& user_id, std::string service,
                  std::string command) {
    wire::Request request;
    request.id = "1";
    request.service = std::move(service);
    request.command = std::move(command);
    socket.sent.clear();
    link.handle(identity, frames_of(request), {false, user_id});
    for (const auto& message : socket.sent) {
      if (message.to == identity && message.name == wire::Reply::kName)
        return wire::decode<wire::Reply>(message.body).value();
    }
    return {};  // it was passed on
  }
};

struct Records {
  TestDirectory directory;
  FakeClock clock;
  FakeSocket socket;
  RecordLog log{RecordLog::open(directory / "log").value()};
  RecordsLink link{log, {"s", 1}, socket.send(), RecordLog::OnRecord{}, clock};

  Records() { link.check_tickets_by(kSecret); }
  std::string hello(const std::string& identity, const std::string& user_id,
                    const std::string& instance) {
    link.handle(identity, frames_of(hello_of("records/1", "runner", instance)), {false, user_id});
    return socket.take(identity);
  }
  // A message of that attempt, said by `identity`; what the broker answers.
  std::string say(const std::string& identity, const std::string& user_id, const std::string& type,
                  const std::string& ticket, const std::string& runner = "hostb",
                  std::uint64_t job = 7, const std::string& element = "a.bst") {
    wire::JobSection section;
    section.id = job;
    section.attempt = 1;
    section.runner = runner;
    wire::ElementSection about;
    about.name = element;
    wire::Append append;
    append.first = log.end_cursor();
    append.types = {type};
    append.records = {
        {wire::pack_event({.type = type, .time = 1}, {wire::pack_section("job", section),
                                                      wire::pack_section("element", about)})}};
    if (!ticket.empty()) append.tickets = {ticket};
    link.handle(identity, frames_of(append), {false, user_id});
    link.flush();
    return socket.take(identity);
  }
};

}  // namespace

TEST_CASE("a key's role says what may be asked for (access.md A10, A11)") {
  Control control;
  const std::string observer = user("observe", "eve");
  const std::string person = user("control", "ann");
  const std::string runner = user("runner", "hostb");
  CHECK(control.hello("o", observer).starts_with("WELCOME"));
  CHECK(control.hello("p", person).starts_with("WELCOME"));
  CHECK(control.hello("r", runner).starts_with("WELCOME"));
  // Nobody from elsewhere is a service of the session.
  CHECK(control.hello("x", person, "scheduler", true).find(wire::kNotOfSession) !=
        std::string::npos);
  CHECK(control.hello("x", "remote/root/x").find(kNotAllowed) != std::string::npos);

  for (const char* command : {"suspend", "kill", "run", "end", "limits", "drain-runner"}) {
    const auto refused = control.ask("o", observer, "scheduler", command);
    CHECK(refused.status == "refused");
    CHECK(refused.error->reason == kNotAllowed);
    CHECK(control.ask("p", person, "scheduler", command).status.empty());
    CHECK(control.ask("r", runner, "scheduler", command).status == "refused");
  }
  CHECK(control.ask("o", observer, "scheduler", "status").status.empty());
  CHECK(control.ask("o", observer, "broker", "ping").status == "done");
  CHECK(control.ask("o", observer, "loader", "load").status == "refused");
  CHECK(control.ask("p", person, "loader", "load").status == "refused");
  CHECK(control.ask("r", runner, "broker", "peers").status == "refused");
  for (const auto& peer : control.link.peers())
    CHECK((peer.instance == "eve" || peer.instance == "ann" || peer.instance == "hostb"));
}

TEST_CASE("the service is told who asks, whatever he says (access.md A10)") {
  Control control;
  control.link.handle("s", frames_of(hello_of("control/1", "scheduler", "scheduler", 1, true)),
                      true);
  control.hello("o", user("observe", "eve"), "ann");
  wire::Request request;
  request.id = "1";
  request.service = "scheduler";
  request.command = "status";
  request.source = "ann";
  request.role = "run";
  control.link.handle("o", frames_of(request), {false, user("observe", "eve")});
  for (const auto& message : control.socket.sent) {
    if (message.name != wire::Request::kName) continue;
    const auto passed = wire::decode<wire::Request>(message.body).value();
    CHECK(passed.source == "eve");
    CHECK(passed.role == "observe");
    return;
  }
  FAIL("the request was not passed on");
}

TEST_CASE("an identity is worth nothing on another connection (access.md A5)") {
  Control control;
  control.hello("i", user("control", "ann"));
  wire::Request request;
  request.id = "1";
  request.service = "scheduler";
  request.command = "kill";
  control.link.handle("i", frames_of(request), {false, user("observe", "eve")});
  CHECK(control.socket.take("i").find(wire::kNoHello) != std::string::npos);

  Records records;
  records.hello("i", user("runner", "hostb"), "hostb");
  CHECK(records
            .say("i", user("runner", "hostc"), "job.message",
                 wire::job_ticket(kSecret, 7, 1, "hostb", "a.bst"))
            .find(wire::kNoHello) != std::string::npos);
}

TEST_CASE("an enrolment key enrols, and does nothing else (access.md A20, A21, A23)") {
  Control control;
  TestDirectory directory;
  auto enrolment = Enrolment::open(directory.str(), control.clock).value();
  control.link.keep_access_by({[&](wire::Role role, const wire::EnrolArguments& arguments) {
                                 return enrolment.enrol(role, arguments);
                               },
                               [&](const std::string& name) { return enrolment.revoke(name); }});
  const std::string joiner = user("runner", "", true);
  REQUIRE(control.hello("j", joiner).starts_with("WELCOME"));
  for (const char* command : {"ping", "peers", "revoke"})
    CHECK(control.ask("j", joiner, "broker", command).status == "refused");
  CHECK(control.ask("j", joiner, "scheduler", "status").status == "refused");
  // Nor does anybody else enrol: not even the owner has a key to hand on.
  control.hello("p", user("control", "ann"));
  CHECK(control.ask("p", user("control", "ann"), "broker", "enrol").status == "refused");

  const auto key = [](char c) {
    wire::EnrolArguments arguments;
    arguments.public_key = std::string(40, c);
    arguments.name = "hostb";
    return arguments;
  };
  CHECK(enrolment.enrol(wire::Role::kRunner, key('a')).value() == "hostb");
  CHECK(enrolment.enrol(wire::Role::kRunner, key('a')).value() == "hostb");
  CHECK(enrolment.enrol(wire::Role::kRunner, key('b')).value() == "hostb-2");
  const auto list = wire::read_access_list(directory.str()).value();
  REQUIRE(list.entries.size() == 2);
  CHECK(list.entries[1].name == "hostb-2");
  CHECK(list.entries[1].role == "runner");

  // A key has one role, and one name.
  CHECK(enrolment.enrol(wire::Role::kControl, key('a')).error().reason == "bad-key");
  auto reserved = key('c');
  reserved.name = "scheduler";
  CHECK(enrolment.enrol(wire::Role::kRunner, reserved).value() == "scheduler-2");
  for (const char* name : {"", "a/b", "../x", "-x", ".x", "a b", "\x1b[2J"}) {
    auto wrong = key('d');
    wrong.name = name;
    CHECK(enrolment.enrol(wire::Role::kRunner, wrong).error().reason == "bad-name");
  }
  auto wrong = key('e');
  wrong.public_key = "short";
  CHECK(enrolment.enrol(wire::Role::kRunner, wrong).error().reason == "bad-key");
  wrong = key('e');
  wrong.certificate = std::string(64, 'z');
  CHECK(enrolment.enrol(wire::Role::kRunner, wrong).error().reason == "bad-key");

  CHECK(enrolment.revoke("nobody").error().reason == "no-such-name");
  REQUIRE(enrolment.revoke("hostb").has_value());
  CHECK(enrolment.enrol(wire::Role::kRunner, key('a')).error().reason == "revoked");
  // Its name isn't anybody else's afterwards.
  CHECK(enrolment.enrol(wire::Role::kRunner, key('f')).value() == "hostb-3");
  // A broker that is started again goes on from the disk.
  auto again = Enrolment::open(directory.str(), control.clock).value();
  CHECK(again.enrol(wire::Role::kRunner, key('b')).value() == "hostb-2");
}

TEST_CASE("a host that is said in enrolling is short and printable (access.md A20a)") {
  FakeClock clock;
  TestDirectory directory;
  auto enrolment = Enrolment::open(directory.str(), clock).value();
  wire::EnrolArguments arguments;
  arguments.public_key = std::string(40, 'a');
  arguments.name = "hostb";
  for (const std::string& host :
       {std::string(256, 'h'), std::string(8u << 20, 'h'), std::string("a\nb"),
        std::string("\x1b[2J"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
    arguments.host = host;
    CHECK(enrolment.enrol(wire::Role::kObserve, arguments).error().reason == "bad-host");
  }
  CHECK(wire::read_access_list(directory.str()).value().entries.empty());
  const std::string longest(255, 'h');
  arguments.host = longest;
  REQUIRE(enrolment.enrol(wire::Role::kObserve, arguments).value() == "hostb");
  arguments.public_key = std::string(40, 'b');
  arguments.host = "build-7.example.org";
  REQUIRE(enrolment.enrol(wire::Role::kObserve, arguments).value() == "hostb-2");
  arguments.public_key = std::string(40, 'c');
  arguments.host.clear();
  REQUIRE(enrolment.enrol(wire::Role::kObserve, arguments).value() == "hostb-3");
  const auto list = wire::read_access_list(directory.str()).value();
  CHECK(list.entries[0].host == longest);
  CHECK(list.entries[1].host == "build-7.example.org");
}

TEST_CASE("one join file leaves the others room in the list (access.md A20a)") {
  FakeClock clock;
  TestDirectory directory;
  const auto arguments = [](std::size_t number) {
    wire::EnrolArguments made;
    made.public_key = fmt::format("{:040}", number);
    made.name = "hostb";
    return made;
  };
  constexpr std::size_t kMost = Enrolment::kMostOfRole;
  {
    auto enrolment = Enrolment::open(directory.str(), clock).value();
    for (std::size_t i = 0; i < kMost; ++i)
      REQUIRE(enrolment.enrol(wire::Role::kObserve, arguments(i)).has_value());
    CHECK(enrolment.enrol(wire::Role::kObserve, arguments(kMost)).error().reason == "too-many");
    // Whoever is enrolled stays so, and a revocation makes no room: its key may not come again.
    CHECK(enrolment.enrol(wire::Role::kObserve, arguments(1)).value() == "hostb-2");
    REQUIRE(enrolment.revoke("hostb-2").has_value());
    const auto size = std::filesystem::file_size(directory / "access/list");
    REQUIRE(enrolment.revoke("hostb-2").has_value());
    CHECK(std::filesystem::file_size(directory / "access/list") == size);
    CHECK(enrolment.enrol(wire::Role::kObserve, arguments(kMost)).error().reason == "too-many");
    CHECK(enrolment.enrol(wire::Role::kControl, arguments(kMost)).has_value());
  }
  auto again = Enrolment::open(directory.str(), clock).value();
  CHECK(again.enrol(wire::Role::kObserve, arguments(kMost + 1)).error().reason == "too-many");
  CHECK(again.enrol(wire::Role::kControl, arguments(kMost + 1)).has_value());
  CHECK(again.enrol(wire::Role::kRunner, arguments(kMost + 2)).has_value());
}

TEST_CASE("a runner from elsewhere says messages of its own attempts alone (access.md A12)") {
  Records records;
  const std::string runner = user("runner", "hostb");
  const std::string ticket = wire::job_ticket(kSecret, 7, 1, "hostb", "a.bst");
  REQUIRE(records.hello("r", runner, "hostb").starts_with("WELCOME"));
  CHECK(records.say("r", runner, "job.message", ticket).starts_with("ACK"));
  // Another type, no ticket, another attempt's, another element's, another runner's name.
  CHECK(records.say("r", runner, "job.finished", ticket).find(kNotAllowed) != std::string::npos);
  CHECK(records.say("r", runner, "job.message", "").find(wire::kMalformed) != std::string::npos);
  CHECK(records.say("r", runner, "job.message", ticket, "hostb", 8).find("bad-ticket") !=
        std::string::npos);
  CHECK(records.say("r", runner, "job.message", ticket, "hostb", 7, "b.bst").find("bad-ticket") !=
        std::string::npos);
  CHECK(records.say("r", runner, "job.message", ticket, "hostc").find("bad-ticket") !=
        std::string::npos);
  CHECK(records
            .say("r", runner, "job.message", wire::job_ticket(kSecret, 7, 1, "hostc", "a.bst"),
                 "hostc")
            .find("bad-ticket") != std::string::npos);
  CHECK(records.log.end_cursor() == 2);  // the one that was taken
  // It doesn't read what others say.
  records.link.handle("r", frames_of(wire::Next{1, 10, 0}), {false, runner});
  CHECK(records.socket.take("r").find(kNotAllowed) != std::string::npos);

  // Observers read, and say nothing.
  const std::string observer = user("observe", "eve");
  REQUIRE(records.hello("o", observer, "hostb").starts_with("WELCOME"));
  CHECK(records.say("o", observer, "job.message", ticket).find(kNotAllowed) != std::string::npos);
  records.link.handle("o", frames_of(wire::Next{1, 10, 0}), {false, observer});
  CHECK(records.socket.take("o").starts_with("BATCH"));
  for (const auto& peer : records.link.peers())
    CHECK(peer.instance == (peer.link == "records" && peer.cursor > 0 ? "eve" : "hostb"));
}
