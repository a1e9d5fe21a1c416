#include "broker/service.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "broker/control_link.h"
#include "broker/enrolment.h"
#include "broker/fanout.h"
#include "broker/record_log.h"
#include "broker/records_link.h"
#include "broker/under_way.h"
#include "wire/listening.h"
#include "wire/message_limit.h"
#include "wire/reactor.h"
#include "wire/session.h"
#include "wire/socket.h"
#include "wire/zap.h"

namespace sluice::broker {

namespace {

constexpr int kMessagesPerTurn = 256;
// How long what was sent last gets to leave, after the end.
constexpr int kLingerMs = 500;
// How long the answer to `revoke` gets, of somebody who is cut off and comes back.
constexpr Duration kCutAfter = std::chrono::milliseconds(100);

HeldSend sender(wire::Socket& socket) {
  return [&socket](const std::string& identity, std::string_view name, std::string body,
                   std::shared_ptr<void> held) {
    if (socket.send_to(identity, name, std::move(body), std::move(held))) return Sent::kSent;
    return errno == EHOSTUNREACH ? Sent::kGone : Sent::kFull;
  };
}

struct Sockets {
  wire::Listening records, control, live_in, live_out;
};

class Service {
 public:
  Service(const wire::ServiceOptions& options, wire::SupervisorLine& line, RecordLog log,
          Sockets sockets, std::optional<Enrolment> enrolment, wire::Reactor& reactor)
      : line_(line), reactor_(reactor), state_(options.paths.state), log_(std::move(log)),
        sockets_(std::move(sockets)), enrolment_(std::move(enrolment)),
        records_socket_(sockets_.records.socket()), control_socket_(sockets_.control.socket()),
        fanout_(sockets_.live_in.socket(), sockets_.live_out.socket()),
        records_(
            log_, {options.paths.id, options.epoch},
            bounded(sender(records_socket_), batches_, wire::Batch::kName),
            [this](std::string_view type, std::string_view stamped) {
              fanout_.publish(type, stamped);
            },
            clock_),
        control_(
            {options.paths.id, options.epoch},
            bounded(sender(control_socket_), replies_, wire::Reply::kName),
            [this] { return records_.peers(); }, clock_) {
    records_.bound_by([this](const std::string& identity) { return batches_.room(identity); });
  }

  void run() {
    reactor_.on_socket(records_socket_, [this] {
      drain(records_socket_, records_);
      records_.flush();
      after_event();
    });
    reactor_.on_socket(control_socket_, [this] {
      drain(control_socket_, control_);
      after_event();
    });
    reactor_.on_socket(fanout_.in(), [this] { fanout_.events(kMessagesPerTurn); });
    reactor_.on_socket(fanout_.out(), [this] { fanout_.subscriptions(kMessagesPerTurn); });
    reactor_.on_fd(line_.fd(), POLLIN, [this](short) { supervisor(); });
    records_.on_log_failure([this](const Error& error) { log_failed(error); });
    reactor_.every(std::chrono::milliseconds(kHeartbeatMs), [this] {
      records_.beat();
      control_.beat();
      batches_.sweep();
      replies_.sweep();
      report();
      after_event();
    });
    if (auto said = line_.send("ready"); !said) return;
    reactor_.run();
    reactor_.remove_fd(line_.fd());
    reactor_.remove_socket(records_socket_);
    reactor_.remove_socket(control_socket_);
    reactor_.remove_socket(fanout_.in());
    reactor_.remove_socket(fanout_.out());
  }

  // From now on others can connect.
  Status open() {
    if (enrolment_) CHECK(let_others_in(state_));
    for (wire::Listening* listening :
         {&sockets_.records, &sockets_.control, &sockets_.live_in, &sockets_.live_out})
      CHECK(listening->open());
    return {};
  }

  // Has those let in who were enrolled, and no others.
  Status let_others_in(const std::string& state) {
    const wire::AccessKeys keys = TRY(wire::read_access_keys(state));
    records_.check_tickets_by(keys.ticket_secret);
    fanout_.check_tickets_by(keys.ticket_secret);
    control_.keep_access_by({[this](wire::Role role, const wire::EnrolArguments& arguments) {
                               return enrolment_->enrol(role, arguments);
                             },
                             [this](const std::string& name) -> Status {
                               CHECK(enrolment_->revoke(name));
                               // A connection can't be ended by itself. All are, and those who are
                               // still let in come back; the answer to this request is on its way
                               // before.
                               reactor_.after(kCutAfter, [this] { cut_remote(); });
                               return {};
                             }});
    return {};
  }

  bool ended() const { return ended_; }

 private:
  void cut_remote() {
    for (wire::Listening* listening :
         {&sockets_.records, &sockets_.control, &sockets_.live_in, &sockets_.live_out}) {
      if (auto cut = listening->cut_remote(); !cut) log::error("{}", cut.error().str());
    }
  }

  template <typename Core>
  void drain(wire::Socket& socket, Core& core) {
    for (int i = 0; i < kMessagesPerTurn && socket.receive(received_); ++i) {
      const auto frames = received_.frames();
      const bool greets = frames.size() > 1 && frames[1] == wire::Hello::kName;
      core.handle(std::string(frames.front()), frames.subspan(1),
                  {greets && wire::started_by_supervisor(received_.peer()), received_.user_id()});
    }
  }

  void supervisor() {
    bool closed = false;
    for (const auto& command : line_.receive(closed)) {
      if (command == "end") {
        log::info("the session ends");
        control_.begin_ending();
        records_.begin_ending();
      } else {
        log::warn("the supervisor said '{}', which is nothing for a broker", command);
      }
    }
    if (closed) {
      log::warn("the supervisor is gone");
      reactor_.stop();
      return;
    }
    after_event();
  }

  // Publishers keep what they have and try again; how long that may go on is the supervisor's
  // decision.
  void log_failed(const Error& error) {
    log::error("the record log can't be written: {}", error.str());
    (void)line_.trouble("The session's record log can't be written: " + error.message);
  }

  // One timer for whichever deadline is first.
  void after_event() {
    if (records_.finished()) {
      control_.end();
      ended_ = true;
      reactor_.stop();
      return;
    }
    std::optional<Duration> next = records_.next_deadline();
    if (const auto other = control_.next_deadline(); other && (!next || *other < *next))
      next = other;
    if (next == armed_) return;
    reactor_.cancel(timer_);
    armed_ = next;
    if (!next) return;
    timer_ = reactor_.after(std::max(*next - clock_.monotonic(), Duration::zero()), [this] {
      armed_.reset();
      records_.run_deadlines();
      control_.run_deadlines();
      after_event();
    });
  }

  void report() {
    const std::uint64_t malformed = records_.malformed() + control_.malformed() +
                                    fanout_.malformed() + wire::connections_reset();
    if (malformed == reported_) return;
    log::warn("{} malformed messages so far", malformed);
    reported_ = malformed;
  }

  const Clock& clock_ = system_clock();
  wire::SupervisorLine& line_;
  wire::Reactor& reactor_;
  std::string state_;
  RecordLog log_;
  Sockets sockets_;
  std::optional<Enrolment> enrolment_;  // of a session that others join
  wire::Socket& records_socket_;
  wire::Received received_;
  wire::Socket& control_socket_;
  UnderWay batches_, replies_;
  Fanout fanout_;
  RecordsLink records_;
  ControlLink control_;
  wire::Reactor::TimerId timer_ = 0;
  std::optional<Duration> armed_;
  std::uint64_t reported_ = 0;
  bool ended_ = false;
};

}  // namespace

Status serve(wire::ServiceOptions options) {
  wire::SupervisorLine line(options.supervisor_fd);
  {
    auto log = RecordLog::open(options.paths.record_log());
    if (!log) {
      (void)line.trouble("The session's record log can't be opened: " + log.error().message);
      return forward(log);
    }
    if (log->torn_bytes() > 0)
      log::warn("{} bytes of a torn record were cut off the log", log->torn_bytes());
    wire::Context context;
    wire::Reactor reactor;
    auto zap = TRY(wire::ZapHandler::create(context, reactor, options.paths.state));
    CHECK(wire::prove_enforcement(context, reactor, options.paths.runtime));
    constexpr std::string_view kNames[] = {"records", "control", "live-in", "live-out"};
    CHECK(wire::prove_remote(context, reactor, options, kNames));
    const auto listening = [&](wire::SocketKind kind, std::string_view name) {
      return wire::Listening::create(context, kind, options, name, kLingerMs);
    };
    Sockets sockets{TRY(listening(wire::SocketKind::kRouter, "records")),
                    TRY(listening(wire::SocketKind::kRouter, "control")),
                    TRY(listening(wire::SocketKind::kXSub, "live-in")),
                    TRY(listening(wire::SocketKind::kXPub, "live-out"))};
    std::optional<Enrolment> enrolment;
    if (sockets.control.remote())
      enrolment.emplace(TRY(Enrolment::open(options.paths.state, system_clock())));
    Service service(options, line, std::move(*log), std::move(sockets), std::move(enrolment),
                    reactor);
    CHECK(service.open());
    service.run();
    if (!service.ended()) return {};
  }
  // The sockets are closed and what they had to say has left.
  return line.send("ended");
}

}  // namespace sluice::broker
