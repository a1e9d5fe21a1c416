// sluice-runner: joins the runner to its sockets, its job processes and its supervisor.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>
#include <thread>

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "base/try.h"
#include "jobs/blobs.h"
#include "jobs/job_server.h"
#include "jobs/log_tail.h"
#include "jobs/runner.h"
#include "jobs/spawner.h"
#include "jobs/token_pool.h"
#include "sandbox/fingerprint.h"
#include "sandbox/platform.h"
#include "wire/hello.h"
#include "wire/record_publisher.h"
#include "wire/session.h"
#include "wire/snapshot.h"

namespace {

using namespace sluice;
using namespace sluice::jobs;

// How often is said what the jobs do, while somebody looks.
constexpr Duration kProgress = std::chrono::milliseconds(250);
constexpr Duration kEndGrace = std::chrono::seconds(2);
constexpr Duration kEndLimit = std::chrono::seconds(8);
// For how long a session on another machine that isn't heard is waited for.
constexpr Duration kWaitForSession = std::chrono::minutes(10);

// The user's `builders`, from the newest snapshot of the session.
std::uint32_t slots_of(const wire::SessionPaths& paths) {
  const std::string directory = paths.state + "/snapshots";
  long newest = -1;
  if (DIR* stream = ::opendir(directory.c_str())) {
    while (const dirent* entry = ::readdir(stream)) {
      char* end = nullptr;
      const long number = std::strtol(entry->d_name, &end, 10);
      if (end != entry->d_name && *end == '\0') newest = std::max(newest, number);
    }
    ::closedir(stream);
  }
  if (newest >= 0) {
    auto snapshot = wire::read_snapshot(fmt::format("{}/{}", directory, newest), false);
    if (snapshot) return std::clamp<std::uint32_t>(snapshot->settings.builders, 1, 1024);
    log::error("{}", snapshot.error().str());
  }
  return 4;
}

class Service final : public RunnerOutputs {
 public:
  Service(wire::ServiceOptions options, std::optional<RemotePlace> place)
      : options_(std::move(options)), place_(std::move(place)), supervisor_(options_.supervisor_fd),
        pool_(reactor_),
        server_(reactor_, {[this](const wire::JobId& id, const JobEvent& event) {
                             if (event.kind == "tokens")
                               pool_.want(id, static_cast<std::uint32_t>(std::clamp<std::int64_t>(
                                                  event.elapsed, 0, wire::kMostJobs)));
                             runner_->on_job_event(id, event);
                           },
                           [this](const wire::JobId& id) {
                             pool_.remove(id);
                             runner_->on_job_end(id);
                             look_for_end();
                           }}),
        spawner_(reactor_,
                 [this](const wire::JobId& id, ExitStatus status) { spawn_ended(id, status); }) {}

  Status start();
  int run() {
    reactor_.run();
    return code_;
  }

  void send(std::string_view name, std::string body) override { socket_->send(name, body); }
  std::uint64_t publish(std::string_view type, std::string event,
                        std::string_view ticket) override {
    return records_->publish(type, std::move(event), ticket);
  }
  std::uint64_t acknowledged() const override { return records_->acknowledged(); }
  Status start(const JobStart& start) override {
    tail_->begin(start.job.id);
    if (start.job.action == model::Action::kSpawn) return spawner_.start(start.job.id);
    if (start.tokens == 0) return server_.start(start);
    auto ends = TRY(pool_.add(start.job.id, start.tokens));
    auto started = server_.start(start, {ends.read.get(), ends.write.get()});
    if (!started) pool_.remove(start.job.id);
    return started;
  }
  void cancel(const wire::JobId& id, Duration grace) override {
    if (spawner_.has(id)) return spawner_.kill(id);
    server_.cancel(id, grace);
  }
  Result<std::string> scratch_root(const std::string& builddir) override {
    return server_.scratch_root(
        builddir, fmt::format("{}-{}-{}", options_.paths.id, options_.instance, options_.epoch));
  }
  Status freeze() override {
    spawner_.signal_all(SIGSTOP);
    return server_.freeze();
  }
  void thaw() override {
    spawner_.signal_all(SIGCONT);
    server_.thaw();
  }
  void fetch(const wire::JobId& id, std::vector<wire::JobInput> inputs) override {
    blobs_->fetch(id, std::move(inputs));
  }
  void prefetch(const wire::JobId& id, std::vector<wire::JobInput> inputs) override {
    blobs_->prefetch(id, std::move(inputs));
  }
  void upload(const wire::JobId& id, std::string ref, std::string log) override {
    blobs_->upload(id, std::move(ref), std::move(log));
  }
  void cancel_transfers(const wire::JobId& id) override { blobs_->cancel(id); }
  void forget_blobs() override { blobs_->forget(); }
  void on_log_end(const wire::JobId& id, const LogSource& log) override { tail_->end(id, log); }
  void on_watched(bool watched) override {
    reactor_.cancel(std::exchange(progress_, 0));
    if (watched) progress_ = reactor_.every(kProgress, [this] { runner_->say_progress(); });
  }

 private:
  void on_socket();
  void on_supervisor();
  void beat();
  void spawn_ended(const wire::JobId& id, ExitStatus status);
  void end();
  void look_for_end();
  // The same for a runner that has joined a session on another machine.
  bool joined() const { return options_.paths.joined != nullptr; }
  RunnerOptions runner_options(wire::Hello hello) const;
  void on_terminate();
  void look_after_joined();
  // Ends in failure, and says why where the runner was started.
  void give_up(const std::string& why);

  wire::ServiceOptions options_;
  const std::optional<RemotePlace> place_;
  wire::SupervisorLine supervisor_;
  wire::Context context_;
  wire::Reactor reactor_;
  std::optional<wire::Socket> socket_;
  std::optional<wire::Socket> watch_;  // tells that our key isn't taken any more
  const Duration started_at_ = system_clock().monotonic();
  std::unique_ptr<wire::RecordPublisher> records_;
  TokenPool pool_;
  JobServer server_;
  Spawner spawner_;
  std::unique_ptr<Blobs> blobs_;  // of a runner that has a store of its own
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<LogTail> tail_;
  wire::Reactor::TimerId progress_ = 0;  // while somebody looks at what the jobs do
  bool leaving_ = false;
  int code_ = 0;
};

Status Service::start() {
  for (const int signal : {SIGTERM, SIGINT}) {
    if (signal == SIGTERM || joined())
      CHECK(reactor_.on_signal(signal, [this] { on_terminate(); }));
  }
  wire::Hello hello;
  hello.protocol = wire::kJobsProtocol;
  hello.build = SLUICE_VERSION;
  hello.role = "runner";
  hello.instance = options_.instance;
  hello.epoch = options_.epoch;

  wire::RecordPublisher::Settings settings;
  settings.endpoint = options_.paths.address("records");
  settings.hello = hello;
  settings.hello.protocol = wire::kRecordsProtocol;
  records_ = TRY(wire::RecordPublisher::create(context_, reactor_, std::move(settings)));
  records_->on_acknowledged([this](std::uint64_t) { runner_->on_acknowledged(); });
  records_->on_refused([this](const Error& error) {
    log::error("the broker can't log: {}", error.str());
    // Nobody would learn what its jobs say, and somebody of its name is heard instead.
    if (joined() && records_->stopped())
      give_up("the session takes no records of this runner: " + error.message);
  });

  // The scheduler's ENDING may be lost with its connection.
  if (joined()) {
    records_->on_ending([this] {
      reactor_.after(kEndGrace, [this] {
        if (!leaving_) log::info("the session has ended");
        end();
      });
    });
  }

  auto outbox =
      TRY(Outbox::open(fmt::format("{}/outbox-{}.log", options_.paths.state, options_.instance)));
  runner_ =
      std::make_unique<Runner>(system_clock(), *this, std::move(outbox), runner_options(hello));
  if (place_) {
    blobs_ = std::make_unique<Blobs>(
        reactor_,
        wire::HelperOpen{.cachedir = place_->cachedir,
                         .cas = place_->cas,
                         .server_name = place_->cas_name,
                         .storage = place_->storage},
        Blobs::Callbacks{
            [this](const wire::JobId& id, wire::HelperVerb verb, const wire::HelperReply& reply) {
              runner_->on_transfer(id, verb, reply);
              look_for_end();
            },
            [this](const wire::JobId& id, const std::string& why) {
              runner_->on_transfer_waits(id, why);
            }});
  }

  auto live =
      TRY(wire::LivePublisher::create(context_, reactor_, options_.paths.address("live-in")));
  tail_ = std::make_unique<LogTail>(reactor_, system_clock(), std::move(live), runner_->running());

  wire::SocketOptions options;
  options.linger_ms = 500;
  options.connected_only = true;  // HELLO says everything to another scheduler
  auto socket = TRY(wire::Socket::create(context_, wire::SocketKind::kDealer, options));
  if (joined()) watch_.emplace(TRY(socket.watch(context_, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)));
  CHECK(socket.connect(options_.paths.address("jobs")));
  socket_.emplace(std::move(socket));
  if (watch_) {
    reactor_.on_socket(*watch_, [this] {
      while (const auto event = watch_->receive()) {
        if (wire::watched_event(*event) == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
          return give_up("the session doesn't let this runner in any more: its key was revoked");
      }
    });
  }
  reactor_.on_socket(*socket_, [this] { on_socket(); });
  if (supervisor_.fd() >= 0)
    reactor_.on_fd(supervisor_.fd(), POLLIN, [this](short) { on_supervisor(); });
  // HELLO goes out when the scheduler's ROUTER has greeted the connection: one that was sent
  // before, too, would seem to say that the first jobs did not arrive.
  beat();
  if (joined()) return {};
  if (auto said = supervisor_.send("ready"); !said) log::warn("{}", said.error().str());
  return {};
}

RunnerOptions Service::runner_options(wire::Hello hello) const {
  RunnerOptions options;
  options.hello = std::move(hello);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  options.host = host;
  options.processors = std::max(1u, std::thread::hardware_concurrency());
  options.offer.processors = options.processors;
  options.place = place_;
  options.offer.platform = sandbox::host_platform();
  if (place_) {
    options.offer.remote = true;
    options.offer.machine = sandbox::machine_id();
    options.offer.fingerprint = sandbox::build_fingerprint();
  }
  if (!joined()) {
    options.slots = slots_of(options_.paths);
    return options;
  }
  const wire::RunnerPlace& place = options_.paths.joined->place;
  options.slots = place.slots;
  options.offer.labels = place.labels;
  options.offer.emulates = sandbox::emulated_platforms();
  if (place.lifetime_s > 0)
    options.leaves_at = system_clock().monotonic() + std::chrono::seconds(place.lifetime_s);
  return options;
}

void Service::on_terminate() {
  if (!joined() || runner_->draining()) return end();
  std::fputs("sluice-runner: finishes what it builds, and leaves; a second signal ends it now\n",
             stderr);
  runner_->drain("it was told to end");
}

void Service::give_up(const std::string& why) {
  log::error("{}", why);
  std::fprintf(stderr, "sluice-runner: %s\n", why.c_str());
  code_ = 1;
  end();
}

// Called at each beat.
void Service::look_after_joined() {
  if (leaving_) return;
  const wire::RunnerPlace& place = options_.paths.joined->place;
  const Duration now = system_clock().monotonic();
  if (now - runner_->heard_at() > kWaitForSession)
    return give_up(
        fmt::format("nothing was heard of the session for {} minutes",
                    std::chrono::duration_cast<std::chrono::minutes>(kWaitForSession).count()));
  if (place.lifetime_s > 0 && now >= started_at_ + std::chrono::seconds(place.lifetime_s))
    runner_->drain("its lifetime is over");
  if (place.idle_s > 0 && runner_->idle_for() >= std::chrono::seconds(place.idle_s))
    runner_->drain("it had nothing to do");
  if (runner_->told_to_leave()) return end();
  if (runner_->leave_if_drained()) end();
}

void Service::on_socket() {
  while (auto frames = socket_->receive()) {
    // The scheduler's ROUTER greets each new connection with an empty message.
    if (frames->size() == 1 && frames->front().empty()) {
      runner_->on_connected();
    } else if (frames->size() == 2) {
      runner_->on_message((*frames)[0], (*frames)[1]);
    }
  }
  if (runner_->refused_for_good()) {
    if (joined()) return give_up("the session refused this runner: " + runner_->refusal());
    code_ = 1;
    end();
  }
  if (runner_->ending()) {
    socket_->drop_unsent();
    end();
  }
}

void Service::on_supervisor() {
  bool closed = false;
  for (const std::string& line : supervisor_.receive(closed)) {
    if (line != "end") continue;
    // The whole session ends, and the scheduler has ended already.
    socket_->drop_unsent();
    end();
  }
  if (closed) {
    // Nobody is left to report to; the kernel ends our jobs with us.
    log::error("the supervisor is gone");
    code_ = 1;
    reactor_.remove_fd(supervisor_.fd());
    leaving_ = true;
    reactor_.stop();
  }
}

void Service::beat() {
  const std::uint32_t interval = runner_->heartbeat_ms() != 0 ? runner_->heartbeat_ms() : 1000;
  reactor_.after(std::chrono::milliseconds(interval), [this] {
    runner_->on_beat();
    if (joined()) look_after_joined();
    beat();
  });
}

void Service::spawn_ended(const wire::JobId& id, ExitStatus status) {
  // A program that was killed is no result: the runner knows whether it was meant to be.
  if (status.signal == 0) {
    JobEvent event;
    event.kind = "result";
    event.result.emplace();
    event.result->status = status.code == 0 ? model::Outcome::kSuccess : model::Outcome::kFailure;
    runner_->on_job_event(id, event);
  }
  runner_->on_job_end(id);
  look_for_end();
}

void Service::end() {
  if (leaving_) return;
  leaving_ = true;
  runner_->end(kEndGrace);
  reactor_.after(kEndLimit, [this] { reactor_.stop(); });
  look_for_end();
}

void Service::look_for_end() {
  if (leaving_ && server_.idle() && spawner_.idle() && runner_->idle()) reactor_.stop();
}

// Takes `--place FILE` out of the arguments: the packed RemotePlace of a runner that has a store of
// its own.
Result<std::optional<RemotePlace>> take_place(int& argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) != "--place") continue;
    const auto bytes = TRY(read_file(argv[i + 1]));
    auto place = TRY(wire::decode<RemotePlace>(bytes));
    std::copy(argv + i + 2, argv + argc + 1, argv + i);
    argc -= 2;
    return std::optional<RemotePlace>(std::move(place));
  }
  return std::nullopt;
}

// The place of a runner that has joined a session: its own directories, and the session's blobs, by
// the identity that was enrolled.
RemotePlace place_of(const wire::SessionPaths& paths) {
  const wire::Joined& joined = *paths.joined;
  RemotePlace place;
  place.cachedir = joined.place.cachedir;
  place.sourcedir = joined.place.cachedir + "/sources";
  place.builddir = joined.place.builddir;
  place.logdir = joined.place.logdir;
  place.storage = joined.place.storage;
  place.cas_name = wire::kCasName;
  place.cas.type = "storage";
  place.cas.push = true;
  place.cas.server_cert = paths.state + "/cas.crt";
  place.cas.client_key = paths.state + "/tls.key";
  place.cas.client_cert = paths.state + "/tls.crt";
  const std::string& host = joined.ticket.host;
  const bool v6 = host.find(':') != std::string::npos;
  for (const auto& [name, port] : joined.ticket.ports) {
    if (name == wire::kCasEndpoint)
      place.cas.url = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
  }
  return place;
}

}  // namespace

int main(int argc, char** argv) {
  auto place = take_place(argc, argv);
  if (!place) {
    std::fprintf(stderr, "sluice-runner: %s\n", place.error().str().c_str());
    return 2;
  }
  auto options = wire::parse_service_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "sluice-runner: %s\n", options.error().str().c_str());
    return 2;
  }
  if (options->paths.joined) *place = place_of(options->paths);
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  start_process_log("sluice-runner", options->paths.process_log("sluice-runner"));
  Service service(std::move(*options), std::move(*place));
  if (auto started = service.start(); !started) {
    log::error("{}", started.error().str());
    std::fprintf(stderr, "sluice-runner: %s\n", started.error().str().c_str());
    return 1;
  }
  return service.run();
}
