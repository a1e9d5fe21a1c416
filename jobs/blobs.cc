#include "jobs/blobs.h"

#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "base/try.h"

namespace sluice::jobs {

namespace {

using wire::HelperReply;
using wire::HelperRequest;
using wire::HelperVerb;

constexpr unsigned kMostDeaths = 3;
constexpr Duration kRestartPause = std::chrono::milliseconds(500);

}  // namespace

Blobs::~Blobs() {
  if (timer_ != 0) reactor_.cancel(timer_);
  if (socket_) reactor_.remove_fd(socket_.get());
  socket_.reset();
  if (!process_.pidfd) return;
  // The end of its input ends it; what it does for nobody needn't be waited for.
  (void)send_signal(process_, SIGKILL);
  wait_for(process_);
}

void Blobs::fetch(const wire::JobId& id, std::vector<wire::JobInput> inputs) {
  HelperRequest request;
  request.verb = HelperVerb::kFetch;
  request.inputs = std::move(inputs);
  ask(id, std::move(request));
}

void Blobs::prefetch(const wire::JobId& id, std::vector<wire::JobInput> inputs) {
  HelperRequest request;
  request.verb = HelperVerb::kPrefetch;
  request.inputs = std::move(inputs);
  ask(id, std::move(request));
}

void Blobs::upload(const wire::JobId& id, std::string ref, std::string log) {
  HelperRequest request;
  request.verb = HelperVerb::kUpload;
  request.ref = std::move(ref);
  request.log = std::move(log);
  ask(id, std::move(request));
}

void Blobs::cancel(const wire::JobId& id) {
  for (auto asked = asked_.begin(); asked != asked_.end();) {
    if (asked->second.job != id) {
      ++asked;
      continue;
    }
    HelperRequest request;
    request.id = asked->first;
    request.verb = HelperVerb::kCancel;
    if (socket_ && asked->second.sent) send(wire::encode(request));
    asked = asked_.erase(asked);
  }
  if (socket_ && retires()) replace_if_done();
}

void Blobs::forget() {
  HelperRequest request;
  request.verb = HelperVerb::kForget;
  if (socket_) send(wire::encode(request));
}

void Blobs::ask(const wire::JobId& id, HelperRequest request) {
  request.id = next_++;
  const auto asked = asked_.emplace(request.id, Asked{id, std::move(request)}).first;
  if (socket_ && retires()) return replace_if_done();
  if (socket_) {
    asked->second.sent = true;
    return send(wire::encode(asked->second.request));
  }
  // The failure of start() isn't heard from within this call.
  start_later(Duration(0));
}

bool Blobs::retires() const { return system_clock().monotonic() - started_at_ >= store_age_; }

// Called when the helper retires: another one does what it wasn't given any more.
void Blobs::replace_if_done() {
  for (const auto& [id, asked] : asked_) {
    if (asked.sent) return;
  }
  end_helper();
  if (!asked_.empty()) start_later(Duration(0));
}

// start() tells the helper all that was asked.
void Blobs::start_later(Duration pause) {
  if (timer_ != 0) return;
  timer_ = reactor_.after(pause, [this] {
    timer_ = 0;
    if (auto started = start(); !started) give_up(started.error());
  });
}

Status Blobs::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno(errno, "socketpair");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-remote"), "--serve"};
  options.standard_input = theirs.get();
  options.die_with_parent = true;
  process_ = TRY(spawn(options));
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  socket_ = std::move(ours);
  frames_ = wire::FrameReader();
  unsent_ = wire::frame(wire::encode(open_));
  for (auto& [id, asked] : asked_) {
    unsent_ += wire::frame(wire::encode(asked.request));
    asked.sent = true;
  }
  started_at_ = system_clock().monotonic();
  watch();
  return {};
}

void Blobs::send(const std::string& body) {
  const bool waited = !unsent_.empty();
  unsent_ += wire::frame(body);
  if (!waited) write();
}

// Waits until the helper takes more, besides what it says.
void Blobs::watch() {
  reactor_.remove_fd(socket_.get());
  const auto events = static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT);
  reactor_.on_fd(socket_.get(), events, [this](short now) { on_socket(now); });
}

void Blobs::write() {
  const bool waited = !unsent_.empty();
  while (!unsent_.empty()) {
    const ssize_t n = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    // Its end is heard when it is read from.
    if (n < 0) break;
    unsent_.erase(0, static_cast<std::size_t>(n));
  }
  if (waited) watch();
}

void Blobs::on_socket(short events) {
  if ((events & POLLOUT) != 0) write();
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  char buffer[65536];
  const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return died("it ended");
  frames_.append({buffer, static_cast<std::size_t>(n)});
  while (socket_) {
    auto body = frames_.next();
    if (!body) return died(body.error().message);
    if (!*body) return;
    auto reply = wire::decode<HelperReply>(**body);
    if (!reply) return died(reply.error().message);
    on_reply(*reply);
  }
}

void Blobs::on_reply(const HelperReply& reply) {
  // The helper could not open the store, or can't use what it was told of the session's.
  if (reply.id == 0 && reply.error) return give_up(reply.error->to_error());
  deaths_ = 0;
  const auto found = asked_.find(reply.id);
  if (found == asked_.end()) return;
  if (!reply.waits.empty()) return callbacks_.on_waits(found->second.job, reply.waits);
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  if (retires()) replace_if_done();
  callbacks_.on_done(asked.job, asked.request.verb, reply);
}

void Blobs::end_helper() {
  reactor_.remove_fd(socket_.get());
  socket_.reset();
  unsent_.clear();
  frames_ = wire::FrameReader();
  (void)send_signal(process_, SIGKILL);
  wait_for(process_);
  process_ = Process{};
  for (auto& [id, asked] : asked_) asked.sent = false;
}

void Blobs::died(const std::string& why) {
  log::error("the helper for the session's blobs died: {}", why);
  end_helper();
  if (asked_.empty()) return;
  if (++deaths_ >= kMostDeaths) {
    return give_up(Error{"remote",
                         "helper-died",
                         fmt::format("sluice-remote died {} times: {}", deaths_, why),
                         {},
                         {}});
  }
  start_later(kRestartPause);
}

void Blobs::give_up(const Error& error) {
  deaths_ = 0;
  for (auto& [id, asked] : std::exchange(asked_, {})) {
    HelperReply reply;
    reply.id = id;
    reply.error = wire::ErrorBody::from(error);
    callbacks_.on_done(asked.job, asked.request.verb, reply);
  }
}

}  // namespace sluice::jobs
