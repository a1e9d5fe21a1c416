#include "wire/follow.h"

#include <csignal>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "wire/hello.h"
#include "wire/link.h"
#include "wire/record_file.h"

namespace sluice::wire {

namespace {

constexpr unsigned kSayAfterBeats = 5;
constexpr Duration kLookForSignals = std::chrono::milliseconds(100);

Status check_there(const SessionPaths& paths) {
  if (paths.joined || !paths.over() || path_exists(paths.record_log())) return {};
  return fail("app", "no-session", fmt::format("There is no session '{}'", paths.id));
}

}  // namespace

Result<std::unique_ptr<Follower>> Follower::create(Context& context, Reactor& reactor,
                                                   Settings settings, Callbacks callbacks) {
  CHECK(check_there(settings.paths));
  auto follower = std::make_unique<Follower>();
  RecordReader::Settings reads;
  reads.endpoint = settings.paths.address("records");
  reads.hello = {std::string(kRecordsProtocol), SLUICE_VERSION, settings.role,
                 fmt::format("{}-{}", settings.name, ::getpid()), 0};
  reads.cursor = settings.cursor;
  reads.wait_for(settings.paths);
  follower->reader_ =
      TRY(RecordReader::create(context, reactor, std::move(reads), std::move(callbacks.on_record),
                               std::move(callbacks.on_end)));
  follower->context_ = &context;
  follower->reactor_ = &reactor;
  follower->paths_ = settings.paths;
  follower->on_live_ = std::move(callbacks.on_live);
  follower->over_ = settings.paths.over();
  if (!settings.topics.empty()) CHECK(follower->connect_live(settings.topics));
  return follower;
}

Status Follower::connect_live(const std::vector<std::string>& topics) {
  if (over_) return {};
  live_ = TRY(
      LiveSubscriber::create(*context_, *reactor_, paths_.address("live-out"), topics, on_live_));
  return {};
}

Status Follower::subscribe(const std::string& topic) {
  return live_ ? live_->subscribe(topic) : connect_live({topic});
}

Status Follower::unsubscribe(const std::string& topic) {
  return live_ ? live_->unsubscribe(topic) : Status();
}

Result<std::uint64_t> end_cursor(const SessionPaths& paths, Hello hello) {
  Context context;
  Reactor reactor;
  std::uint64_t cursor = 0;
  unsigned beats = 0;
  Link::Callbacks callbacks;
  callbacks.on_welcome = [&](const Welcome& welcome) {
    cursor = welcome.end_cursor;
    reactor.stop();
  };
  callbacks.on_message = [](std::string_view, std::string_view) {};
  callbacks.on_beat = [&](unsigned) {
    if (!paths.lives()) return reactor.stop();
    if (++beats == kSayAfterBeats)
      (void)write_all(2, fmt::format("Session {} doesn't answer: waiting for it\n", paths.id));
  };
  auto link = TRY(Link::create(context, reactor, paths.address("records"), std::move(hello),
                               std::move(callbacks)));
  // Signals that the caller has blocked, to hear of them in a loop of its own.
  reactor.every(kLookForSignals, [&] {
    sigset_t pending;
    sigemptyset(&pending);
    (void)::sigpending(&pending);
    if (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
        sigismember(&pending, SIGHUP) == 1)
      reactor.stop();
  });
  reactor.run();
  link.reset();
  if (cursor == 0)
    return fail("session", "no-answer", fmt::format("No answer from session {}", paths.id));
  return cursor;
}

Result<bool> read_until_now(const SessionPaths& paths, const std::string& name,
                            const std::function<bool(std::string_view packed)>& take) {
  if (!paths.joined) {
    TRY(read_records(paths, 1, take));
    return paths.over();
  }
  const std::uint64_t end =
      TRY(end_cursor(paths, {std::string(kRecordsProtocol), SLUICE_VERSION, "renderer",
                             fmt::format("{}-{}", name, ::getpid()), 0}));
  bool over = false, enough = end <= 1;
  if (enough) return over;
  Context context;
  Reactor reactor;
  Follower::Settings settings;
  settings.paths = paths;
  settings.name = name;
  std::uint64_t next = 1;
  auto follower = TRY(Follower::create(context, reactor, std::move(settings),
                                       {[&](std::string_view packed) {
                                          if (enough) return;
                                          enough = !take(packed) || ++next >= end;
                                          if (enough) reactor.stop();
                                        },
                                        {},
                                        [&](bool) {
                                          over = true;
                                          reactor.stop();
                                        }}));
  reactor.run();
  return over;
}

}  // namespace sluice::wire
