#include "scheduler/service.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <memory>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/append_log.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/occurrences.h"
#include "base/try.h"
#include "sandbox/fingerprint.h"
#include "scheduler/core.h"
#include "scheduler/durations.h"
#include "scheduler/usage.h"
#include "wire/control.h"
#include "wire/hello.h"
#include "wire/joined.h"
#include "wire/listening.h"
#include "wire/live.h"
#include "wire/record_publisher.h"
#include "wire/zap.h"

namespace sluice::scheduler {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kJobs = "jobs";
constexpr int kLingerMs = 500;  // for ENDING
// Connections from elsewhere that are known at once.
constexpr std::size_t kMostRemote = 16384;
// Bytes of a message of a runner from elsewhere, and of a RESULT (J101).
constexpr std::size_t kMostSaid = std::size_t{1} << 20;
constexpr std::size_t kMostResults = std::size_t{16} << 20;
// Messages of runners that are taken before what follows from them is done.
constexpr int kMessagesPerTurn = 256;
constexpr std::string_view kFull = "status/full/", kLines = "status/lines/";
constexpr Duration kTick = milliseconds(250);
constexpr Duration kStatusInterval = milliseconds(100);  // at most ten a second
constexpr Duration kReloadTimeout = std::chrono::hours(1);
// How long the loader is waited for; one that loads meanwhile answers later.
constexpr Duration kLoaderTimeout = seconds(10);
constexpr Duration kLastWords = seconds(2);   // for the broker to have session.ended
constexpr Duration kDurations = seconds(60);  // of jobs of a long run are written
// Whoever was told that a run is under way asks again each second, and when that has finished.
constexpr Duration kAsksAgain = seconds(5);

// What the supervisor says of the session; "" where it says nothing.
std::string session_verb(const wire::SessionPaths& paths) {
  const auto text = read_file(paths.state + "/session.json");
  if (!text) return {};
  const auto json = parse_json(*text);
  if (!json.is_object() || !json.contains("verb") || !json["verb"].is_string()) return {};
  return json["verb"].get<std::string>();
}

// $SLUICE_JOBS_LEASE_MS, for tests that stop processes for longer than that.
Duration lease_of_environment() {
  const char* text = std::getenv("SLUICE_JOBS_LEASE_MS");
  if (text == nullptr) return kLease;
  const long value = std::strtol(text, nullptr, 10);
  return milliseconds(std::clamp(value, 1000L, 3'600'000L));
}

class Service final : public Outputs {
 public:
  explicit Service(const wire::ServiceOptions& options)
      : options_(options), supervisor_(options.supervisor_fd) {}
  ~Service() override = default;

  Status start();
  int run();

  // ---- Outputs
  Status journal(const std::vector<std::string_view>& records) override {
    auto written = journal_->append_batch(records, nullptr);
    if (!written) journal_broken(written.error());
    return written;
  }
  void publish(std::string_view type, std::string packed, std::uint64_t ordinal) override {
    const std::uint64_t sequence = publisher_->publish(type, std::move(packed));
    if (unacknowledged_.empty() || unacknowledged_.back().ordinal != ordinal) {
      unacknowledged_.push_back({sequence, ordinal});
    } else {
      unacknowledged_.back().sequence = sequence;
    }
  }
  void send(const std::string& peer, std::string_view name, std::string body) override {
    const bool gives = name == wire::JobBatch::kName;
    if (jobs_->send_to(peer, name, gives ? body : std::move(body))) return;
    if (errno == EHOSTUNREACH) {
      gone_.emplace_back(peer, gives ? std::move(body) : std::string());
    } else {
      log::warn("{} could not be sent to a runner that takes nothing", name);
    }
  }
  void start_runner() override {
    if (auto sent = supervisor_.send("start runner"); !sent) log::error("{}", sent.error().str());
  }
  void sync(const std::string& cachedir) override {
    if (auto sent = supervisor_.send("sync " + cachedir); !sent)
      log::error("{}", sent.error().str());
  }
  void write_refs(std::uint64_t job, std::string arguments) override;
  void reload(std::string arguments) override;
  Status ask_loader();
  bool congested() const override { return publisher_->full(); }
  bool want_durations(const std::string& cachedir,
                      const std::vector<std::string>& projects) override {
    return durations_->read(cachedir, projects);
  }
  void took(JobDuration job) override { durations_->add(std::move(job)); }

 private:
  struct Sent {
    std::uint64_t sequence;  // of the last record that follows from it
    std::uint64_t ordinal;   // changes in the journal
  };

  Status recover();
  std::string_view wrong_sender(const wire::Received& message);
  void look_at_access();
  void journal_broken(const Error& error);
  void on_jobs();
  void on_supervisor();
  void on_request(const wire::Request& request, const wire::ControlService::Respond& respond);
  void on_acknowledged(std::uint64_t upto);
  void status();
  void full_status();
  void look_at_cache();
  void after_input();
  void write_durations();
  void end_when_done();
  bool too_long(const wire::Received& message) const;
  bool claims_a_name(const wire::Received& message) const;
  void leave(int code);

  const wire::ServiceOptions& options_;
  wire::SupervisorLine supervisor_;
  wire::Context context_;
  wire::Reactor reactor_;
  std::unique_ptr<wire::ZapHandler> zap_;
  std::optional<wire::Listening> listening_;
  wire::Socket* jobs_ = nullptr;              // its socket
  std::optional<wire::AccessReader> access_;  // of a session that others join
  std::size_t revoked_ = 0;
  // The user id of each connection from elsewhere that has said HELLO.
  std::map<std::string, std::string, std::less<>> remote_;
  Occurrences wrong_senders_;
  std::unique_ptr<wire::RecordPublisher> publisher_;
  std::unique_ptr<wire::LivePublisher> live_;
  std::unique_ptr<wire::ControlService> control_;
  std::unique_ptr<wire::ControlClient> loader_;  // since something was asked of the loader
  std::optional<AppendLog> journal_;
  std::unique_ptr<StoreView> store_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<UsageMeter> usage_;
  std::unique_ptr<DurationsHelper> durations_;
  std::deque<Sent> unacknowledged_;
  // Connections to which something was to be sent, with the packed JobBatch if it was one.
  std::vector<std::pair<std::string, std::string>> gone_;
  Duration last_status_{};
  bool status_due_ = true;
  bool leaving_ = false;
  bool alone_ = false;  // no command waits for the session's end
  bool end_asked_ = false;
  std::optional<Duration> waited_for_;  // when somebody was last told that he has to wait
  int code_ = 0;
};

Status Service::start() {
  const wire::SessionPaths& paths = options_.paths;
  if (auto on = reactor_.on_signal(SIGTERM, [this] { leave(0); }); !on) return on;
  ::signal(SIGPIPE, SIG_IGN);
  zap_ = TRY(wire::ZapHandler::create(context_, reactor_, paths.state));
  constexpr std::string_view kNames[] = {kJobs};
  CHECK(wire::prove_remote(context_, reactor_, options_, kNames));

  wire::Hello hello;
  hello.build = SLUICE_VERSION;
  hello.role = "scheduler";
  hello.instance = options_.instance;
  hello.epoch = options_.epoch;

  wire::RecordPublisher::Settings records;
  records.endpoint = paths.endpoint("records");
  records.hello = hello;
  records.hello.protocol = wire::kRecordsProtocol;
  publisher_ = TRY(wire::RecordPublisher::create(context_, reactor_, std::move(records)));
  publisher_->on_acknowledged([this](std::uint64_t upto) { on_acknowledged(upto); });
  publisher_->on_refused(
      [](const Error& error) { log::error("the broker can't log: {}", error.str()); });

  live_ = TRY(wire::LivePublisher::create(context_, reactor_, paths.endpoint("live-in")));
  live_->on_subscribed([this](const std::string&) { status_due_ = true; });

  store_ = make_store_view();
  CoreOptions core;
  core.session = paths.id;
  core.verb = session_verb(paths);
  core.epoch = options_.epoch;
  core.lease = lease_of_environment();
  core.fingerprint = sandbox::build_fingerprint;
  // Runners come from elsewhere to a session that has keys for them.
  core.listens = wire::listens_on_tcp(paths.state);
  if (core.listens) {
    core.ticket_secret = TRY(wire::read_access_keys(paths.state)).ticket_secret;
    core.allow_skew = TRY(wire::read_listen_plan(paths.state)).allow_skew;
  }
  core_ = std::make_unique<Core>(system_clock(), *store_, *this, std::move(core));
  usage_ = std::make_unique<UsageMeter>(
      reactor_, [this](const wire::CacheSection& cache) { core_->set_cache(cache); });

  durations_ = std::make_unique<DurationsHelper>(
      reactor_,
      [this](const std::vector<JobDuration>& jobs) {
        core_->durations(jobs);
        after_input();
      },
      [this] { after_input(); });

  listening_.emplace(TRY(
      wire::Listening::create(context_, wire::SocketKind::kRouter, options_, kJobs, kLingerMs)));
  jobs_ = &listening_->socket();

  // The model is whole before anybody can ask or report: then the sockets open.
  CHECK(recover());
  if (listening_->remote()) {
    access_.emplace(paths.state);
    revoked_ = access_->revoked();
    reactor_.every(seconds(1), [this] { look_at_access(); });
  }
  CHECK(listening_->open());
  reactor_.on_socket(*jobs_, [this] { on_jobs(); });

  hello.protocol = wire::kControlProtocol;
  hello.service = true;
  auto control = TRY(wire::ControlService::create(
      context_, reactor_, paths.endpoint("control"), hello,
      [this](const wire::Request& request, wire::ControlService::Respond respond) {
        on_request(request, respond);
      }));
  control_ = std::move(control);

  reactor_.on_fd(supervisor_.fd(), POLLIN, [this](short) { on_supervisor(); });
  reactor_.every(std::min(kTick, lease_of_environment() / 10), [this] {
    core_->tick();
    after_input();
  });
  reactor_.every(kStatusInterval, [this] { status(); });
  reactor_.every(seconds(1), [this] { full_status(); });
  reactor_.every(seconds(1), [this] { look_at_cache(); });
  reactor_.every(kDurations, [this] { write_durations(); });
  (void)supervisor_.send("ready");
  after_input();
  return {};
}

Status Service::recover() {
  const std::string path = options_.paths.journal();
  // The journal is read twice: which of its changes were published is known when its last mark is.
  std::uint64_t published = 0;
  const auto mark = [&](std::uint64_t, std::string_view record) {
    if (change_name(record) != Published::kName) return;
    if (auto change = wire::decode<Published>(record))
      published = std::max(published, change->upto);
  };
  if (auto log = AppendLog::open(path, mark); !log) {
    (void)supervisor_.trouble("The scheduler's journal can't be opened: " + log.error().message);
    return forward(log);
  }
  core_->begin_replay(published);
  Status followed;
  auto log = TRY(AppendLog::open(path, [&](std::uint64_t offset, std::string_view record) {
    if (!followed) return;
    followed = core_->replay(record);
    if (!followed) followed.error().message += fmt::format(" ({} at byte {})", path, offset);
  }));
  if (!followed) return followed;
  journal_.emplace(std::move(log));
  return core_->recovered();
}

// The session's own runner is the supervisor's child. (Others have other names.)
// Whether a runner from elsewhere says more than any has to say: what comes before its results is
// lists of the attempts that it has in hand.
bool Service::too_long(const wire::Received& message) const {
  const auto frames = message.frames();
  const auto who = wire::identity_of(message.user_id());
  if (!who || !who->remote) return false;
  const bool results = frames.size() > 1 && frames[1] == wire::Results::kName;
  std::size_t bytes = 0;
  for (const auto& frame : frames) bytes += frame.size();
  return bytes > (results ? kMostResults : kMostSaid);
}

bool Service::claims_a_name(const wire::Received& message) const {
  const auto frames = message.frames();
  if (frames.size() != 3 || frames[1] != wire::RunnerHello::kName) return false;
  const auto hello = wire::decode<wire::RunnerHello>(frames[2]);
  return hello && wire::is_process_of_session(hello->hello.instance) &&
         !wire::started_by_supervisor(message.peer());
}

// Ends the process: nothing of what was to be written has happened for anybody, and the next
// process goes on from what the journal has, when it can be written again.
void Service::journal_broken(const Error& error) {
  log::critical("the journal can't be written: {}", error.str());
  (void)supervisor_.trouble("The scheduler's journal can't be written: " + error.message);
  wire::ErrorSection section{
      .scope = "main",
      .domain = error.domain,
      .reason = error.reason,
      .message = "The scheduler's journal can't be written: " + error.message};
  const std::string packed = wire::pack_section("error", section);
  publisher_->publish(
      "error", wire::pack_event({.type = "error", .time = system_clock().wall_ns()}, {packed}));
  publisher_->flush();
  code_ = 1;
  reactor_.after(milliseconds(200), [this] { leave(1); });
}

void Service::on_acknowledged(std::uint64_t upto) {
  std::uint64_t ordinal = 0;
  while (!unacknowledged_.empty() && unacknowledged_.front().sequence <= upto) {
    ordinal = unacknowledged_.front().ordinal;
    unacknowledged_.pop_front();
  }
  if (ordinal != 0) core_->published(ordinal);
  after_input();
}

// Why a message is not taken of its connection, as REFUSED says it; "" when it is. What somebody
// from elsewhere says counts when it came from the connection of his HELLO, by his own key: he is a
// runner, of that name and no other, and has a store of his own.
std::string_view Service::wrong_sender(const wire::Received& message) {
  const auto frames = message.frames();
  const std::string_view user = message.user_id();
  const auto known = remote_.find(frames[0]);
  if (frames.size() != 3 || frames[1] != wire::RunnerHello::kName) {
    if (frames.size() == 2 && frames[1].empty()) return {};  // the probe
    const std::string_view expected = known == remote_.end() ? wire::kOwnerId : known->second;
    return user == expected ? std::string_view() : wire::kNoHello;
  }
  if (known != remote_.end()) remote_.erase(known);
  const auto who = wire::identity_of(user);
  if (!who) return "not-allowed";
  if (!who->remote) return {};
  const auto hello = wire::decode<wire::RunnerHello>(frames[2]);
  if (!hello) return wire::kMalformed;
  if (who->enrols || who->role != wire::Role::kRunner || !hello->remote) return "not-allowed";
  if (hello->hello.instance != who->name) return "instance";
  if (remote_.size() >= kMostRemote)
    std::erase_if(remote_, [this](const auto& entry) { return !core_->knows(entry.first); });
  if (remote_.size() >= kMostRemote) return "too-many-peers";
  remote_.emplace(frames[0], user);
  return {};
}

// A connection can't be ended by itself. All from elsewhere are, and those who are still let in
// come back.
void Service::look_at_access() {
  const std::size_t revoked = access_->revoked();
  if (revoked == std::exchange(revoked_, revoked)) return;
  log::info("a key was revoked: connections from elsewhere are made again");
  remote_.clear();
  if (auto cut = listening_->cut_remote(); !cut) log::error("{}", cut.error().str());
}

void Service::on_jobs() {
  wire::Received message;
  for (int i = 0; i < kMessagesPerTurn && jobs_->receive(message); ++i) {
    const auto frames = message.frames();
    const std::string peer(frames.front());
    if (too_long(message)) {
      send(peer, wire::Refused::kName, wire::encode(wire::Refused{std::string(wire::kMalformed)}));
      continue;
    }
    if (claims_a_name(message)) {
      log::warn("process {} says that it is {}, and was not started by the session", message.peer(),
                wire::kRunnerName);
      send(peer, wire::Refused::kName,
           wire::encode(wire::Refused{std::string(wire::kNotOfSession)}));
      continue;
    }
    if (const std::string_view wrong = wrong_sender(message); !wrong.empty()) {
      const auto who = wire::identity_of(message.user_id());
      const std::string name = who ? who->name : std::string();
      if (const std::uint64_t times = wrong_senders_.note(name))
        log::warn("{} is refused at the jobs' socket: {} ({} times so far)", name, wrong, times);
      send(peer, wire::Refused::kName, wire::encode(wire::Refused{std::string(wrong)}));
      continue;
    }
    core_->take_message(peer, wire::Frames(frames.begin() + 1, frames.end()));
  }
  // The journal is written once for all messages that have come.
  core_->react();
  after_input();
}

void Service::on_supervisor() {
  bool closed = false;
  for (const std::string& line : supervisor_.receive(closed)) {
    if (line == "end") {
      core_->end();
    } else if (line.starts_with("died ")) {
      const std::size_t space = line.find(' ', 5);
      const std::string name = line.substr(5, space - 5);
      const std::uint64_t epoch =
          space == std::string::npos ? 0 : std::strtoull(line.c_str() + space, nullptr, 10);
      if (name.starts_with("runner")) core_->runner_died(name, epoch);
    } else if (line == "detached") {
      // One that was started for its own sake is ended by whoever has started it.
      alone_ = session_verb(options_.paths) != "session";
    } else {
      log::warn("the supervisor sent '{}', which means nothing here", line);
    }
  }
  if (closed) {
    log::error("the supervisor is gone");
    ::_exit(1);
  }
  after_input();
}

void Service::on_request(const wire::Request& request,
                         const wire::ControlService::Respond& respond) {
  wire::Reply reply;
  reply.id = request.id;
  reply.status = "done";
  const auto answer = [respond, reply](const Status& status) {
    wire::Reply answered = reply;
    if (!status) {
      answered.status = "refused";
      answered.error = wire::ErrorBody::from(status.error());
    }
    respond(std::move(answered));
  };
  const std::string& command = request.command;
  if (command != "status" && command != "ping" && command != "runners" &&
      request.role == "observe") {
    return answer(fail("scheduler", "not-allowed",
                       fmt::format("'{}' may not be asked for by an observer", command)));
  }
  if (command == "ping") {
    answer({});
  } else if (command == "status") {
    reply.result.bytes = core_->pack_status(StatusOf::kShown);
    respond(std::move(reply));
  } else if (command == "run") {
    auto arguments = wire::decode<wire::RunArguments>(request.arguments.bytes);
    if (!arguments) return answer(forward(arguments));
    auto accepted = core_->run(*arguments, request.id);
    if (!accepted) {
      if (accepted.error().reason == "busy") waited_for_ = system_clock().monotonic();
      core_->publish_error(accepted.error());
      answer(forward(accepted));
    } else {
      reply.status = "accepted";
      reply.result.bytes = wire::encode(*accepted);
      respond(std::move(reply));
      look_at_cache();
    }
  } else if (command == "runners") {
    reply.result.bytes = wire::encode(core_->runners());
    respond(std::move(reply));
  } else if (command == "drain-runner" || command == "stop-runner") {
    auto arguments = wire::decode<wire::RunnerArguments>(request.arguments.bytes);
    answer(arguments ? core_->send_away(arguments->name, command == "stop-runner")
                     : Status(forward(arguments)));
  } else if (command == "suspend") {
    core_->suspend(answer);
  } else if (command == "resume") {
    core_->resume();
    answer({});
  } else if (command == "quit") {
    answer(core_->quit());
  } else if (command == "kill") {
    answer(core_->kill());
  } else if (command == "retry") {
    auto arguments = wire::decode<wire::RetryArguments>(request.arguments.bytes);
    answer(arguments ? core_->retry(arguments->element) : Status(forward(arguments)));
  } else if (command == "limits") {
    auto arguments = wire::decode<wire::LimitsArguments>(request.arguments.bytes);
    answer(arguments ? core_->set_limits(*arguments) : Status(forward(arguments)));
  } else if (command == "answer") {
    auto arguments = wire::decode<wire::AnswerArguments>(request.arguments.bytes);
    answer(arguments ? core_->answer(arguments->prompt, arguments->choice, request.source)
                     : Status(forward(arguments)));
  } else if (command == "detach") {
    answer(supervisor_.send("detach"));
  } else if (command == "end") {
    // The supervisor ends all processes in their order, this one among them.
    answer(supervisor_.send("ending"));
  } else {
    answer(
        fail("scheduler", "no-command", fmt::format("The scheduler has no command '{}'", command)));
  }
  after_input();
}

// ---- The loader, whose the project's files are ------------------------------

Status Service::ask_loader() {
  if (loader_) return {};
  wire::Hello hello;
  hello.protocol = wire::kControlProtocol;
  hello.build = SLUICE_VERSION;
  hello.role = "client";
  hello.instance = options_.instance + "-asks";
  hello.epoch = options_.epoch;
  loader_ = TRY(
      wire::ControlClient::create(context_, reactor_, options_.paths.endpoint("control"), hello));
  return {};
}

void Service::reload(std::string arguments) {
  if (auto able = ask_loader(); !able) {
    const Error error = able.error();
    reactor_.after(kTick, [this, error] {
      core_->reloaded(tl::unexpected<Error>(error));
      after_input();
    });
    return;
  }
  loader_->request("loader", "reload", std::move(arguments), kReloadTimeout,
                   [this](const wire::Reply& reply) {
                     Result<wire::LoadResult> result = fail("loader", "no-answer", "no answer");
                     if (reply.status == "done")
                       result = wire::decode<wire::LoadResult>(reply.result.bytes);
                     if (reply.error) result = tl::unexpected<Error>(reply.error->to_error());
                     core_->reloaded(std::move(result));
                     after_input();
                   });
}

void Service::write_refs(std::uint64_t job, std::string arguments) {
  if (auto able = ask_loader(); !able) {
    log::error("the loader can't be asked: {}", able.error().str());
    reactor_.after(kTick, [this, job] { core_->refs_unknown(job); });
    return;
  }
  loader_->request("loader", "write-refs", std::move(arguments), kLoaderTimeout,
                   [this, job](const wire::Reply& reply) {
                     wire::WriteRefsResult result;
                     if (reply.status == "done") {
                       auto decoded = wire::decode<wire::WriteRefsResult>(reply.result.bytes);
                       if (decoded) {
                         result = std::move(*decoded);
                       } else {
                         result.error = wire::ErrorBody::from(decoded.error());
                       }
                     } else if (reply.status == "refused" && reply.error) {
                       result.error = reply.error;
                     } else {
                       core_->refs_unknown(job);
                       return after_input();
                     }
                     core_->refs_written(job, std::move(result));
                     after_input();
                   });
}

// ---- Live --------------------------------------------------------------------

void Service::status() {
  if (core_->running())
    core_->watch(
        {.steps = live_->wanted("status/"), .lines = live_->wanted_below("status/", kLines)});
  if (core_->take_status_changed()) status_due_ = true;
  const Duration now = system_clock().monotonic();
  if (!status_due_ && now - last_status_ < seconds(1)) return;
  status_due_ = false;
  last_status_ = now;
  std::optional<Narrator::Common> common;
  const auto pack = [&](StatusOf of) {
    if (!common) common = core_->status_common();
    return core_->pack_status(of, *common);
  };
  live_->publish("status/", [&] { return pack(StatusOf::kShown); });
  if (live_->wanted_below("status/", kLines))
    live_->publish(kLines, [&] { return pack(StatusOf::kLines); });
}

void Service::full_status() {
  if (live_->wanted_below("status/", kFull))
    live_->publish(kFull, [this] { return core_->pack_status(StatusOf::kFull); });
}

void Service::look_at_cache() {
  const model::Settings* settings = core_->settings();
  if (settings != nullptr && core_->running()) usage_->measure(settings->cachedir);
}

// ---- The end -----------------------------------------------------------------

void Service::after_input() {
  // What is given to others then may turn out to be for nobody too.
  while (!gone_.empty()) {
    for (const auto& [peer, jobs] : std::exchange(gone_, {})) core_->disconnected(peer, jobs);
  }
  if (!core_->running()) write_durations();
  end_when_done();
  if (!core_->ended()) return;
  if (!leaving_) {
    leaving_ = true;
    publisher_->flush();
    reactor_.after(kLastWords, [this] {
      if (publisher_->acknowledged() < publisher_->last())
        log::warn("the broker did not acknowledge the session's last records");
      leave(0);
    });
  }
  // The last records are in the broker's log before this process says that it has ended.
  if (publisher_->acknowledged() >= publisher_->last() && !durations_->busy()) leave(0);
}

// A session that its command has detached from ends when its run does.
void Service::end_when_done() {
  if (!alone_ || end_asked_ || core_->running() || core_->ended()) return;
  if (waited_for_ && system_clock().monotonic() - *waited_for_ < kAsksAgain) return;
  end_asked_ = supervisor_.send("ending").has_value();
}

void Service::write_durations() {
  if (const model::Settings* settings = core_->settings()) durations_->flush(settings->cachedir);
}

void Service::leave(int code) {
  if (code_ == 0) code_ = code;
  (void)supervisor_.send("ended");
  reactor_.stop();
}

int Service::run() {
  reactor_.run();
  return code_;
}

}  // namespace

int serve(const wire::ServiceOptions& options) {
  Service service(options);
  if (auto started = service.start(); !started) {
    log::critical("{}", started.error().str());
    return 1;
  }
  return service.run();
}

}  // namespace sluice::scheduler
