#include "renderer/web/hub.h"

#include <cerrno>
#include <csignal>
#include <future>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "renderer/page/digest.h"
#include "wire/events.h"
#include "wire/hello.h"

namespace sluice::renderer {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLook = milliseconds(100);
constexpr Duration kLookForEnd = seconds(1);
constexpr Duration kRequestTimeout = seconds(15);
// Statuses that have lines of output come once a second.
constexpr Duration kWithLines = seconds(3);
constexpr std::string_view kStatus = "status/", kStatusWithLines = "status/lines/";

std::uint64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

wire::Reply refused(Error error) {
  wire::Reply reply;
  reply.status = "refused";
  reply.error = wire::ErrorBody::from(error);
  return reply;
}

}  // namespace

Hub::Hub()
    : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Hub::~Hub() = default;

Status Hub::run(std::function<void()> on_end) {
  if (!wake_ || !stop_) return fail_errno(errno, "eventfd");
  reactor_.on_fd(wake_.get(), POLLIN, [this](short) { work_off(); });
  const auto end = [this, on_end] {
    stop();
    on_end();
    reactor_.stop();
  };
  CHECK(reactor_.on_signal(SIGINT, end));
  CHECK(reactor_.on_signal(SIGTERM, end));
  CHECK(reactor_.on_signal(SIGHUP, end));
  reactor_.every(kLook, [this] {
    look();
    feed_logs();
  });
  reactor_.every(kLookForEnd, [this] { look_for_end(); });
  reactor_.run();
  feeds_.clear();
  watched_.clear();
  controls_.clear();
  return {};
}

void Hub::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  const std::lock_guard lock(mutex_);
  for (auto& [id, weak] : watches_) {
    const auto watch = weak.lock();
    if (!watch) continue;
    const std::lock_guard watch_lock(watch->mutex);
    watch->stop = true;
    watch->changed.notify_all();
  }
}

void Hub::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Hub::work_off() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& one : work) one();
}

std::shared_ptr<Watch> Hub::watch(const wire::SessionPaths& paths) {
  std::shared_ptr<Watch> watch;
  {
    const std::lock_guard lock(mutex_);
    auto& known = watches_[paths.id];
    if (auto there = known.lock()) return there;
    watch = std::make_shared<Watch>();
    watch->paths = paths;
    watch->size = size_of(paths.record_log());
    watch->over = paths.over();
    watch->stop = stopping_;
    known = watch;
  }
  post([this, watch] { begin(watch->paths.id, watch); });
  return watch;
}

void Hub::begin(const std::string& id, const std::shared_ptr<Watch>& watch) {
  Watched& watched = watched_[id];
  watched.watch = watch;
  watched.over = watch->paths.over();
  if (watched.over || watched.live) return;
  auto live =
      wire::LiveSubscriber::create(context_, reactor_, watch->paths.address("live-out"),
                                   {std::string(kStatus), std::string(kStatusWithLines)},
                                   [this, id](std::string_view topic, std::string_view packed) {
                                     const auto found = watched_.find(id);
                                     if (found != watched_.end())
                                       heard(found->second, topic, packed);
                                   });
  // Without it the page has no estimates, and all else.
  if (live) watched.live = std::move(*live);
}

void Hub::heard(Watched& watched, std::string_view topic, std::string_view packed) {
  const Duration now = system_clock().monotonic();
  if (topic == kStatusWithLines) {
    watched.with_lines = now;
  } else if (topic != kStatus || now - watched.with_lines < kWithLines) {
    return;
  }
  const auto watch = watched.watch.lock();
  const auto event = wire::decode_event(packed);
  if (!watch || !event) return;
  std::string status = page_status(*event);
  const std::lock_guard lock(watch->mutex);
  watch->status = std::move(status);
  ++watch->heard;
  watch->changed.notify_all();
}

void Hub::look() {
  for (auto at = watched_.begin(); at != watched_.end();) {
    const auto watch = at->second.watch.lock();
    if (!watch) {
      // Nobody looks any more: the scheduler needn't make statuses for us.
      at = watched_.erase(at);
      continue;
    }
    const std::uint64_t size = size_of(watch->paths.record_log());
    const std::lock_guard lock(watch->mutex);
    if (size != watch->size) {
      watch->size = size;
      watch->changed.notify_all();
    }
    ++at;
  }
}

void Hub::look_for_end() {
  for (auto& [id, watched] : watched_) {
    const auto watch = watched.watch.lock();
    if (!watch) continue;
    const bool over = watch->paths.over();
    if (over == watched.over) continue;
    watched.over = over;
    watched.live.reset();
    controls_.erase(id);
    // A session whose processes were all dead has been resumed.
    if (!over) begin(id, watch);
    const std::lock_guard lock(watch->mutex);
    watch->over = over;
    watch->changed.notify_all();
  }
}

wire::ControlClient* Hub::control_of(const wire::SessionPaths& paths, Error& error) {
  auto& control = controls_[paths.id];
  if (!control) {
    auto made = wire::ControlClient::create(context_, reactor_, paths.address("control"),
                                            {std::string(wire::kControlProtocol), SLUICE_VERSION,
                                             "client", fmt::format("web-{}", ::getpid()), 0});
    if (!made) {
      error = made.error();
      controls_.erase(paths.id);
      return nullptr;
    }
    control = std::move(*made);
  }
  return control.get();
}

wire::Reply Hub::ask(const wire::SessionPaths& paths, std::string service, std::string command,
                     std::string arguments) {
  if (paths.over()) return refused({"session", "session-ended", "The session has ended", {}, {}});
  // Both threads may be the last to have it: this one doesn't wait for ever.
  const auto answer = std::make_shared<std::promise<wire::Reply>>();
  auto future = answer->get_future();
  post([this, paths, service, command, arguments, answer] {
    Error error;
    wire::ControlClient* const client = control_of(paths, error);
    if (client == nullptr) return answer->set_value(refused(error));
    client->request(service, command, arguments, kRequestTimeout,
                    [answer](const wire::Reply& reply) { answer->set_value(reply); });
  });
  while (future.wait_for(milliseconds(200)) != std::future_status::ready) {
    if (stopping_) return refused({"web", "ending", "sluice-web ends", {}, {}});
  }
  return future.get();
}

std::shared_ptr<LogFeed> Hub::follow_log(const wire::SessionPaths& paths, const wire::JobId& id,
                                         const std::string& runner, std::uint64_t offset) {
  auto feed = std::make_shared<LogFeed>();
  post([this, paths, id, runner, offset, weak = std::weak_ptr<LogFeed>(feed)] {
    auto one = std::make_unique<Feed>();
    one->feed = weak;
    one->paths = paths;
    one->id = id;
    one->runner = runner;
    one->offset = offset;
    open_feed(*one);
    feeds_.push_back(std::move(one));
  });
  return feed;
}

void Hub::open_feed(Feed& feed) {
  wire::LogReader::Callbacks callbacks;
  Feed* const at = &feed;
  callbacks.on_text = [at](std::string_view text) {
    at->offset += text.size();
    const auto to = at->feed.lock();
    if (!to) return;
    const std::lock_guard lock(to->mutex);
    to->text += text;
    to->changed.notify_all();
  };
  const auto end = [at](const std::string& error) {
    at->over = true;
    const auto to = at->feed.lock();
    if (!to) return;
    const std::lock_guard lock(to->mutex);
    to->ended = true;
    to->error = error;
    to->changed.notify_all();
  };
  callbacks.on_end = [end] { end(""); };
  callbacks.on_refused = [end](const Error& error) { end(error.message); };
  callbacks.on_silence = [](Duration) {};
  auto reader = wire::LogReader::create(context_, reactor_, feed.paths.address("live-out"), feed.id,
                                        feed.runner, feed.offset, std::move(callbacks));
  if (!reader) return end(reader.error().message);
  feed.reader = std::move(*reader);
}

// Readers are closed while a browser has a megabyte to take, and go on where they were.
void Hub::feed_logs() {
  std::erase_if(feeds_, [](const auto& feed) { return feed->feed.expired(); });
  for (const auto& feed : feeds_) {
    const auto to = feed->feed.lock();
    if (!to) continue;
    std::size_t waiting = 0;
    {
      const std::lock_guard lock(to->mutex);
      waiting = to->text.size();
      if (stopping_) to->stop = true;
      to->changed.notify_all();
    }
    if (feed->over) {
      feed->reader.reset();
    } else if (feed->reader && waiting > LogFeed::kMost) {
      feed->reader.reset();
    } else if (!feed->reader && waiting <= LogFeed::kMost / 2) {
      open_feed(*feed);
    }
  }
}

}  // namespace sluice::renderer
