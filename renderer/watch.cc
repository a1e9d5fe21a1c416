#include "renderer/watch.h"

#include <algorithm>

#include "base/file.h"
#include "base/try.h"

namespace sluice::renderer {

namespace {

// How soon a session is noticed that begins.
constexpr Duration kLook = std::chrono::milliseconds(500);

}  // namespace

Result<std::unique_ptr<Watch>> Watch::create(wire::Context& context, wire::Reactor& reactor,
                                             Settings settings, Callbacks callbacks) {
  std::unique_ptr<Watch> watch(
      new Watch(context, reactor, std::move(settings), std::move(callbacks)));
  if (const std::string& id = watch->settings_.session; !id.empty()) {
    CHECK(watch->follow(TRY(wire::SessionPaths::of(id))));
    return watch;
  }
  watch->look();
  watch->begun_ = true;
  watch->looking_ = reactor.every(kLook, [raw = watch.get()] { raw->look(); });
  return watch;
}

Watch::~Watch() {
  if (looking_ != 0) reactor_.cancel(looking_);
}

bool Watch::wanted(const wire::SessionPaths& paths) const {
  if (begun_ || (!settings_.since.empty() && paths.id > settings_.since)) return true;
  const auto& unfinished = settings_.unfinished;
  if (std::find(unfinished.begin(), unfinished.end(), paths.id) != unfinished.end()) return true;
  return !paths.over();
}

void Watch::look() {
  ended_.clear();
  const std::vector<std::string> ids = wire::list_session_ids();
  std::map<std::string, bool> known;
  for (const std::string& id : ids) {
    newest_ = std::max(newest_, id);
    if (known_.contains(id) && !dead_.contains(id)) {
      known[id] = true;
      continue;
    }
    const auto paths = wire::SessionPaths::of(id);
    if (!paths) continue;
    if (dead_.contains(id) ? paths->over() : !wanted(*paths)) {
      // One without a log may be just being made: nobody listens yet, and nobody has its lock.
      if (path_exists(paths->record_log())) known[id] = true;
      continue;
    }
    // One that is just being made has no sockets and no log: it is looked at again.
    if (!follow(*paths)) continue;
    known[id] = true;
    dead_.erase(id);
  }
  known_ = std::move(known);
}

Status Watch::follow(const wire::SessionPaths& paths) {
  const std::uint64_t from = settings_.from ? settings_.from(paths) : 1;
  if (from == 0) return {};
  wire::Follower::Settings settings;
  settings.paths = paths;
  settings.role = settings_.role;
  settings.name = settings_.name;
  settings.cursor = from;
  settings.topics = settings_.topics;
  const std::string id = paths.id;
  wire::Follower::Callbacks callbacks;
  callbacks.on_record = [this, id](std::string_view packed) { callbacks_.on_record(id, packed); };
  callbacks.on_live = [this, id](std::string_view topic, std::string_view packed) {
    if (topic == "status/" && callbacks_.on_status) callbacks_.on_status(id, packed);
  };
  callbacks.on_end = [this, id](bool gone) {
    if (gone && settings_.revived) dead_.insert(id);
    // It is still in the midst of a call.
    if (const auto found = followers_.find(id); found != followers_.end()) {
      ended_.push_back(std::move(found->second));
      followers_.erase(found);
    }
    callbacks_.on_end(id, gone);
  };
  auto follower =
      TRY(wire::Follower::create(context_, reactor_, std::move(settings), std::move(callbacks)));
  if (paused_) follower->pause();
  followers_[id] = std::move(follower);
  return {};
}

void Watch::pause() {
  if (std::exchange(paused_, true)) return;
  for (const auto& [id, follower] : followers_) follower->pause();
}

void Watch::resume() {
  if (!std::exchange(paused_, false)) return;
  for (const auto& [id, follower] : followers_) follower->resume();
}

}  // namespace sluice::renderer
