#include "wire/follow.h"

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "wire/hello.h"

namespace sluice::wire {

namespace {

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

}  // namespace sluice::wire
