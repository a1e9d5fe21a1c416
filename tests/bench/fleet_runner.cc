#include "fleet_runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "fleet_bench.h"

namespace sluice::bench {

CrowdRunner::CrowdRunner(wire::Context& context, Loop& loop, wire::SessionPaths paths,
                         Settings settings)
    : context_(context), loop_(loop), paths_(std::move(paths)), settings_(std::move(settings)) {
  hello_.protocol = wire::kJobsProtocol;
  hello_.build = SLUICE_VERSION;
  hello_.role = "runner";
  hello_.instance = settings_.instance;
  hello_.epoch = settings_.epoch;
  if (!settings_.joined || !settings_.joined->name.empty()) {
    open();
    return;
  }
  const wire::JoinTicket& ticket = settings_.joined->ticket;
  const auto address = wire::address_of(ticket, "control", ticket.enrolment);
  if (!address) die(address.error().str());
  enrolment_ = connect(wire::SocketKind::kDealer, *address, [this] { on_enrolment(); });
}

// Connects as a runner, under the name that it has.
void CrowdRunner::open() {
  jobs::RunnerOptions options;
  options.offer = settings_.offer;
  if (settings_.joined) {
    paths_.joined = settings_.joined;
    hello_.instance = settings_.joined->name;
    options.offer.remote = true;
  }
  options.hello = hello_;
  options.host = "host-of-" + settings_.instance;
  options.slots = options.processors = options.offer.processors = settings_.slots;
  auto outbox = jobs::Outbox::open(settings_.outbox);
  if (!outbox) die(outbox.error().str());
  runner_ = std::make_unique<jobs::Runner>(system_clock(), *this, std::move(*outbox), options);
  jobs_ = connect(wire::SocketKind::kDealer, paths_.address("jobs"), [this] { on_jobs(); });
  records_ =
      connect(wire::SocketKind::kDealer, paths_.address("records"), [this] { on_records(); });
  live_ = connect(wire::SocketKind::kXPub, paths_.address("live-in"), [this] {
    while (live_->socket.receive()) {  // what is subscribed to
    }
  });
}

std::unique_ptr<CrowdRunner::Connection> CrowdRunner::connect(wire::SocketKind kind,
                                                              const wire::Address& address,
                                                              std::function<void()> readable) {
  wire::SocketOptions options;
  options.connected_only = kind == wire::SocketKind::kDealer;
  auto socket = wire::Socket::create(context_, kind, options);
  if (!socket) die(socket.error().str());
  auto connection = std::make_unique<Connection>(Connection{std::move(*socket), nullptr});
  connection->watch = loop_.watch(connection->socket, std::move(readable));
  if (auto connected = connection->socket.connect(address); !connected)
    die(connected.error().str());
  return connection;
}

// ---- The control link, for as long as its key isn't enrolled

void CrowdRunner::on_enrolment() {
  wire::Received message;
  bool enrolled = false;
  while (enrolment_->socket.receive(message)) {
    const auto frames = message.frames();
    if (wire::is_probe(frames)) {
      wire::Hello hello = hello_;
      hello.protocol = wire::kControlProtocol;
      hello.role = "client";
      enrolment_->say(hello);
    } else if (frames[0] == wire::Welcome::kName) {
      wire::EnrolArguments arguments;
      arguments.public_key = settings_.joined->keys.public_key;
      arguments.name = settings_.instance;
      arguments.host = "host-of-" + settings_.instance;
      wire::Request request;
      request.id = settings_.instance + "-enrols";
      request.service = "broker";
      request.command = "enrol";
      request.arguments.bytes = wire::encode(arguments);
      enrolment_->say(request);
    } else if (frames[0] == wire::Reply::kName) {
      const auto reply = wire::decode<wire::Reply>(frames[1]);
      const auto answer = reply && reply->status == "done"
                              ? wire::decode<wire::Enrolled>(reply->result.bytes)
                              : fail("bench", "enrol", "refused");
      if (!answer) die(fmt::format("{} is not enrolled: {}", settings_.instance, frames[1]));
      settings_.joined->name = answer->name;
      enrolled = true;
    } else if (frames[0] == wire::Refused::kName) {
      die(fmt::format("{} was refused by the broker: {}", settings_.instance, frames[1]));
    }
  }
  // The connection ends at the next beat: it is being read.
  if (enrolled) open();
}

Duration CrowdRunner::interval() const {
  const std::uint32_t said = runner_ ? runner_->heartbeat_ms() : 0;
  return std::chrono::milliseconds(said != 0 ? said : 1000);
}

void CrowdRunner::beat() {
  if (!runner_) return;
  enrolment_.reset();
  runner_->on_beat();
}

// ---- The jobs link

void CrowdRunner::send(std::string_view name, std::string body) {
  if (name == wire::RunnerHello::kName) ++hellos_;
  jobs_->send(name, std::move(body));
}

void CrowdRunner::on_jobs() {
  wire::Received message;
  while (jobs_->socket.receive(message)) {
    const auto frames = message.frames();
    if (wire::is_probe(frames)) {
      runner_->on_connected();
    } else if (frames.size() == 2) {
      if (frames[0] == wire::Heartbeat::kName) ++scheduler_beats_;
      runner_->on_message(frames[0], frames[1]);
    }
  }
  if (runner_->refused_for_good()) die(hello_.instance + " was refused by the scheduler");
  if (runner_->malformed() != 0) die(hello_.instance + " can't read a message of the scheduler");
}

std::uint64_t CrowdRunner::publish(std::string_view type, std::string, std::string_view) {
  die(fmt::format("a brief job has published {}", type));
}
Status CrowdRunner::start(const jobs::JobStart&) { die("a job came that isn't empty"); }
Result<std::string> CrowdRunner::scratch_root(const std::string&) {
  die("a job came that isn't brief");
}

// ---- The records link

void CrowdRunner::on_records() {
  wire::Received message;
  while (records_->socket.receive(message)) {
    const auto frames = message.frames();
    // Who was silent for too long is asked for HELLO again.
    const auto refused = frames[0] == wire::Refused::kName ? wire::decode<wire::Refused>(frames[1])
                                                           : wire::Refused{};
    if (wire::is_probe(frames) || (refused && refused->reason == wire::kNoHello)) {
      wire::Hello hello = hello_;
      hello.protocol = wire::kRecordsProtocol;
      welcomed_ = false;
      records_->say(hello);
    } else if (frames[0] == wire::Welcome::kName) {
      welcomed_ = true;
    } else if (frames[0] == wire::Heartbeat::kName) {
      ++broker_beats_;
      if (welcomed_) records_->say(wire::Heartbeat{});
    } else if (frames[0] == wire::Refused::kName) {
      die(fmt::format("{} was refused by the broker: {}", hello_.instance, frames[1]));
    }
  }
}

}  // namespace sluice::bench
