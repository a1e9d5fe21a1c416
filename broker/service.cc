#include "broker/service.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "broker/control_link.h"
#include "broker/fanout.h"
#include "broker/record_log.h"
#include "broker/records_link.h"
#include "wire/message_limit.h"
#include "wire/reactor.h"
#include "wire/session.h"
#include "wire/socket.h"
#include "wire/zap.h"

namespace sluice::broker {

namespace {

constexpr const char* kZapDomain = "sluice";
constexpr int kMessagesPerTurn = 256;
// How long what was sent last gets to leave, after the end.
constexpr int kLingerMs = 500;

Result<wire::Socket> listen(wire::Context& context, wire::SocketKind kind,
                            const wire::ServiceOptions& service, const std::string& name) {
  wire::SocketOptions options;
  options.zap_domain = kZapDomain;
  options.router_mandatory = kind == wire::SocketKind::kRouter;
  options.probe_router = kind == wire::SocketKind::kRouter;
  options.linger_ms = kLingerMs;
  const auto inherited = service.listening.find(name);
  if (inherited != service.listening.end()) {
    // The descriptor is ours to accept from, and the supervisor's to keep: an accept() that another
    // process was faster at must not block the I/O thread.
    options.use_fd = inherited->second;
    const int flags = ::fcntl(options.use_fd, F_GETFL);
    if (flags < 0 || ::fcntl(options.use_fd, F_SETFL, flags | O_NONBLOCK) < 0)
      return fail_errno(errno, "--listen " + name);
  }
  auto socket = TRY(wire::Socket::create(context, kind, options));
  CHECK(socket.bind(service.paths.endpoint(name)));
  return socket;
}

Send sender(wire::Socket& socket) {
  return [&socket](const std::string& identity, std::string_view name, std::string body) {
    if (socket.send_to(identity, name, std::move(body))) return Sent::kSent;
    return errno == EHOSTUNREACH ? Sent::kGone : Sent::kFull;
  };
}

class Service {
 public:
  Service(const wire::ServiceOptions& options, wire::SupervisorLine& line, RecordLog log,
          wire::Socket records, wire::Socket control, wire::Socket live_in, wire::Socket live_out,
          wire::Reactor& reactor)
      : line_(line), reactor_(reactor), log_(std::move(log)), records_socket_(std::move(records)),
        control_socket_(std::move(control)), fanout_(std::move(live_in), std::move(live_out)),
        records_(
            log_, {options.paths.id, options.epoch}, sender(records_socket_),
            [this](std::string_view type, std::string_view stamped) {
              fanout_.publish(type, stamped);
            },
            clock_),
        control_(
            {options.paths.id, options.epoch}, sender(control_socket_),
            [this] { return records_.peers(); }, clock_) {}

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

  bool ended() const { return ended_; }

 private:
  template <typename Core>
  void drain(wire::Socket& socket, Core& core) {
    for (int i = 0; i < kMessagesPerTurn && socket.receive(received_); ++i) {
      const auto frames = received_.frames();
      const bool greets = frames.size() > 1 && frames[1] == wire::Hello::kName;
      core.handle(std::string(frames.front()), frames.subspan(1),
                  greets && wire::started_by_supervisor(received_.peer()));
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
  RecordLog log_;
  wire::Socket records_socket_;
  wire::Received received_;
  wire::Socket control_socket_;
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
    auto zap = TRY(wire::ZapHandler::create(context, reactor));
    CHECK(wire::prove_enforcement(context, reactor, options.paths.runtime));
    auto records = TRY(listen(context, wire::SocketKind::kRouter, options, "records"));
    auto control = TRY(listen(context, wire::SocketKind::kRouter, options, "control"));
    auto live_in = TRY(listen(context, wire::SocketKind::kXSub, options, "live-in"));
    auto live_out = TRY(listen(context, wire::SocketKind::kXPub, options, "live-out"));
    Service service(options, line, std::move(*log), std::move(records), std::move(control),
                    std::move(live_in), std::move(live_out), reactor);
    service.run();
    if (!service.ended()) return {};
  }
  // The sockets are closed and what they had to say has left.
  return line.send("ended");
}

}  // namespace sluice::broker
