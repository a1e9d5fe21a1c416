#include "renderer/collect/service.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

#include <unistd.h>

#include <fmt/format.h>
#include <fnmatch.h>

#include "base/file.h"
#include "base/try.h"
#include "renderer/collect/cursors.h"
#include "renderer/collect/delivery.h"
#include "renderer/watch.h"
#include "wire/follow.h"
#include "wire/hello.h"
#include "wire/record_file.h"

namespace sluice::collect {

namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2, kVanished = 3;
constexpr Duration kSave = std::chrono::milliseconds(200);
// So long what is on its way may take when the collector is told to end.
constexpr Duration kTermGrace = std::chrono::seconds(3);
// How often the same failure is said again.
constexpr Duration kSayAgain = std::chrono::minutes(1);

constexpr std::string_view kHelp =
    R"(Usage: sluice-collect [OPTION]... KIND [DESTINATION]

Sends records of sessions somewhere, each at least once, whatever is restarted
meanwhile.

  journald [SOCKET]    systemd's journal, with fields
  syslog ADDRESS       RFC 5424: /dev/log, unix:PATH, udp://HOST:PORT, tcp://HOST:PORT
  ndjson ADDRESS       JSON, a record on a line: tcp://HOST:PORT, unix:PATH
  loki URL             Loki's push API
  otlp URL             spans, by OTLP/HTTP in JSON
  exec COMMAND         a shell command for each record, as JSON on its input
  notify               desktop notifications

  --session ID         this session, to its end; else all that live and begin later
  --cursor-file FILE   where it is kept what was delivered
  --from start|now     of sessions that live already (default: start; notify: now)
  --types LIST         records of these types only: job.finished,run.*
  --headers FILE       headers of HTTP requests, one on each line
  --jobs N             exec: so many commands at once (1)
  --timeout SECONDS    exec: a command that takes longer is killed (60)
  --after SECONDS      notify: of runs that took that long (30)
  --help, --version

Status: 0 when the session has ended, or SIGTERM or SIGINT came; 1 when the
destination refuses what is sent, or a record was left out; 2 wrong usage; 3 when
the session has died.
)";

void say(std::string_view text) {
  (void)write_all(STDERR_FILENO, fmt::format("sluice-collect: {}\n", text));
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

class Service {
 public:
  Service(const Kind& kind, const renderer::Arguments& arguments, Cursors cursors,
          std::unique_ptr<Destination> destination, bool from_now)
      : kind_(kind), session_(arguments.text("--session")),
        types_(split(arguments.text("--types"))), from_now_(from_now), cursors_(std::move(cursors)),
        destination_(std::move(destination)) {}

  Result<int> run() {
    // Before any thread is made, which inherits what is blocked.
    for (const int signal : {SIGTERM, SIGINT})
      CHECK(reactor_.on_signal(signal, [this] { terminate(); }));
    std::signal(SIGPIPE, SIG_IGN);
    delivery_ = TRY(Delivery::create(
        reactor_, *destination_,
        {[this](const std::string& session, std::uint64_t cursor) { delivered(session, cursor); },
         [this] { room(); },
         [this](const Error& error, std::optional<Duration> wait) { failed(error, wait); },
         [this] { say(fmt::format("{} takes records again", kind_.name)); },
         [this](const Message& message, const Error& error) {
           left_out(message.session, message.cursor, error);
         }}));
    context_ = std::make_unique<wire::Context>();
    renderer::Watch::Settings settings;
    settings.session = session_;
    settings.revived = true;
    settings.name = fmt::format("collect-{}", kind_.name);
    settings.since = cursors_.since();
    settings.unfinished = cursors_.unfinished();
    settings.from = [this](const wire::SessionPaths& paths) { return start(paths); };
    watch_ = TRY(renderer::Watch::create(
        *context_, reactor_, std::move(settings),
        {[this](const std::string& session, std::string_view packed) { record(session, packed); },
         {},
         [this](const std::string& session, bool gone) { session_over(session, gone); }}));
    begun_ = true;
    reactor_.every(kSave, [this] { save(); });
    check_done();
    reactor_.run();
    save();
    if (!delivery_->busy()) return status_;
    // What hangs there is nobody's to wait for.
    std::fflush(nullptr);
    ::_exit(status_);
  }

 private:
  struct Session {
    std::uint64_t first = 1;  // the first record that is to be delivered
    std::uint64_t last = 0;   // the last one of these that came
    std::uint64_t at = 0;     // the last one that came
    bool over = false;
  };

  static Result<std::uint64_t> end_of(const wire::SessionPaths& paths) {
    if (!paths.joined) return wire::read_records(paths, 1, [](std::string_view) { return true; });
    return wire::end_cursor(paths, {std::string(wire::kRecordsProtocol), SLUICE_VERSION,
                                    "collector", fmt::format("collect-{}", ::getpid()), 0});
  }

  // The cursor that the session's records are wanted from; 0: it is done with.
  std::uint64_t start(const wire::SessionPaths& paths) {
    Session& session = sessions_[paths.id];
    if (const auto next = cursors_.next(paths.id)) {
      if (*next == 0) {
        sessions_.erase(paths.id);
        return 0;
      }
      session.first = *next;
    } else if (from_now_ && !begun_) {
      const auto end = end_of(paths);
      if (end) session.first = *end;
    }
    cursors_.begin(paths.id, session.first);
    session.last = session.first - 1;
    session.at = kind_.needs_past ? 0 : session.last;
    return session.at + 1;
  }

  void record(const std::string& id, std::string_view packed) {
    if (stopping_) return;
    Session& session = sessions_[id];
    const std::uint64_t cursor = ++session.at;
    const auto event = wire::decode_event(packed);
    if (!event && cursor >= session.first) left_out(id, cursor, event.error());
    std::optional<Message> message;
    const bool wanted = event && this->wanted(event->type);
    if (event && (kind_.needs_past || wanted)) message = destination_->encode({packed, *event});
    if (cursor < session.first) return;
    session.last = cursor;
    if (!message || message->body.empty() || !wanted) {
      delivery_->skip(id, cursor);
    } else {
      message->session = id;
      message->cursor = cursor;
      message->time = event->time;
      delivery_->add(std::move(*message));
    }
    if (delivery_->full()) watch_->pause();
  }

  bool wanted(const std::string& type) const {
    if (types_.empty()) return true;
    for (const std::string& pattern : types_) {
      if (::fnmatch(pattern.c_str(), type.c_str(), 0) == 0) return true;
    }
    return false;
  }

  // Others go on; that not all came through is told by the status at the end.
  void left_out(const std::string& id, std::uint64_t cursor, const Error& error) {
    say(fmt::format("record {} of session {} is left out: {}", cursor, id, error.message));
    status_ = kFailed;
  }

  void delivered(const std::string& id, std::uint64_t cursor) {
    cursors_.set(id, cursor + 1);
    check_over(id);
  }

  void session_over(const std::string& id, bool gone) {
    destination_->forget(id);
    // One that died may be resumed, and its records go on then.
    if (!gone) sessions_[id].over = true;
    if (gone && !session_.empty()) status_ = kVanished;
    check_over(id);
    check_done();
  }

  // A session is done with when its last record was delivered.
  void check_over(const std::string& id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || !found->second.over) return;
    const auto next = cursors_.next(id);
    if (next && *next <= found->second.last) return;
    if (!next && found->second.last >= found->second.first) return;
    cursors_.set_end(id);
    sessions_.erase(found);
  }

  void room() {
    if (!delivery_->full()) watch_->resume();
    check_done();
    if (stopping_ && !delivery_->busy()) reactor_.stop();
  }

  // Of one session: the end of its records, all of them delivered.
  void check_done() {
    if (!session_.empty() && watch_ && watch_->sessions() == 0 && delivery_->idle())
      reactor_.stop();
  }

  void failed(const Error& error, std::optional<Duration> wait) {
    const Duration now = system_clock().monotonic();
    if (!wait) {
      say(error.message);
      status_ = kFailed;
      return reactor_.stop();
    }
    if (stopping_) return reactor_.stop();
    if (error.message == said_ && now < say_again_) return;
    said_ = error.message;
    say_again_ = now + kSayAgain;
    say(fmt::format("{}; it is tried again", error.message));
  }

  void terminate() {
    stopping_ = true;
    watch_->pause();
    delivery_->stop();
    if (!delivery_->busy()) return reactor_.stop();
    reactor_.after(kTermGrace, [this] { reactor_.stop(); });
  }

  void save() {
    if (watch_ && session_.empty()) cursors_.set_since(watch_->newest());
    if (auto saved = cursors_.save(); !saved) {
      if (std::exchange(save_failed_, true)) return;
      say(saved.error().str());
    } else {
      save_failed_ = false;
    }
  }

  const Kind& kind_;
  const std::string session_;
  const std::vector<std::string> types_;
  const bool from_now_;
  Cursors cursors_;
  std::unique_ptr<Destination> destination_;
  wire::Reactor reactor_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<renderer::Watch> watch_;
  std::map<std::string, Session> sessions_;
  bool begun_ = false;
  bool stopping_ = false;
  bool save_failed_ = false;
  std::string said_;
  Duration say_again_{};
  int status_ = kDone;
};

Result<int> collect(const renderer::Arguments& arguments) {
  const auto usage = [](std::string text) { return fail("app", "usage", std::move(text)); };
  const auto& words = arguments.words();
  if (words.empty()) return usage("KIND is missing: one of " + kind_names());
  const Kind* const kind = find_kind(words[0]);
  if (kind == nullptr) return usage(fmt::format("'{}' is none of {}", words[0], kind_names()));
  if (words.size() < 2 && kind->address_needed)
    return usage(fmt::format("{}: where to is missing", kind->name));
  if (words.size() > (kind->address_needed || kind->address_taken ? 2u : 1u))
    return usage(fmt::format("'{}' is one word too many", words.back()));
  for (const std::string_view option : kOfKinds) {
    const bool taken =
        std::find(kind->options.begin(), kind->options.end(), option) != kind->options.end();
    if (arguments.has(option) && !taken)
      return usage(fmt::format("{}: that is nothing to {}", option, kind->name));
  }
  const std::string from = arguments.text("--from", kind->from_now ? "now" : "start");
  if (from != "start" && from != "now")
    return usage(fmt::format("--from: '{}' is none of start, now", from));
  auto destination = TRY(kind->make(words.size() > 1 ? words[1] : std::string(), arguments));
  Cursors cursors = TRY(Cursors::open(arguments.text("--cursor-file")));
  Service service(*kind, arguments, std::move(cursors), std::move(destination), from == "now");
  return service.run();
}

}  // namespace

int run(const std::vector<std::string>& given) {
  const auto arguments =
      renderer::Arguments::read(given,
                                {"--session", "--cursor-file", "--from", "--types", "--headers",
                                 "--jobs", "--timeout", "--after"},
                                {"--help", "--version"});
  if (arguments && arguments->has("--help")) {
    (void)write_all(STDOUT_FILENO, kHelp);
    return kDone;
  }
  if (arguments && arguments->has("--version")) {
    (void)write_all(STDOUT_FILENO, "sluice-collect " SLUICE_VERSION "\n");
    return kDone;
  }
  const auto done =
      arguments ? collect(*arguments) : Result<int>(tl::unexpected<Error>(arguments.error()));
  if (done) return *done;
  say(done.error().str());
  return done.error().reason == "usage" ? kUsage : kFailed;
}

}  // namespace sluice::collect
