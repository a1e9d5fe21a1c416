#include "renderer/collect/delivery.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/threads.h"
#include "base/try.h"

namespace sluice::collect {

namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds(100);
constexpr Duration kMostWait = std::chrono::seconds(10);
constexpr std::string_view kBadRecords = "bad-records";

// What a message costs in memory.
std::size_t weight(const Message& message) {
  return sizeof message + message.body.size() + message.stream.size() + message.session.size();
}

}  // namespace

Result<std::unique_ptr<Delivery>> Delivery::create(wire::Reactor& reactor, Destination& destination,
                                                   Callbacks callbacks) {
  std::unique_ptr<Delivery> delivery(new Delivery(reactor, destination, std::move(callbacks)));
  Delivery* const raw = delivery.get();
  raw->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!raw->wake_) return fail_errno(errno, "eventfd");
  reactor.on_fd(raw->wake_.get(), POLLIN, [raw](short) { raw->take_result(); });
  raw->thread_ = TRY(start_thread([raw] { raw->work(); }));
  return delivery;
}

Delivery::~Delivery() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
  reactor_.remove_fd(wake_.get());
}

void Delivery::work() {
  for (;;) {
    const std::vector<Message>* todo = nullptr;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return end_ || todo_ != nullptr; });
      if (end_) return;
      todo = std::exchange(todo_, nullptr);
    }
    std::vector<LeftOut> left_out;
    Status done = deliver(*todo, left_out);
    {
      const std::lock_guard lock(mutex_);
      result_ = std::move(done);
      left_out_ = std::move(left_out);
    }
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }
}

// One message that is refused for what it is keeps no other one back.
Status Delivery::deliver(const std::vector<Message>& batch, std::vector<LeftOut>& left_out) {
  Status done = destination_.deliver(batch);
  if (done || done.error().reason != kBadRecords) return done;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Status one = batch.size() == 1 ? done : destination_.deliver({batch[i]});
    if (one) continue;
    if (one.error().reason != kBadRecords) return one;
    left_out.push_back({i, one.error()});
  }
  return {};
}

void Delivery::add(Message message) {
  message.through = std::max(message.through, message.cursor);
  bytes_ += weight(message);
  queue_.push_back(std::move(message));
  send();
}

void Delivery::skip(const std::string& session, std::uint64_t cursor) {
  if (idle()) return callbacks_.on_delivered(session, cursor);
  if (!queue_.empty() && queue_.back().session == session) {
    queue_.back().through = cursor;
    return;
  }
  Message marker;
  marker.session = session;
  marker.cursor = marker.through = cursor;
  add(std::move(marker));
}

void Delivery::send() {
  if (busy_ || stopped_ || queue_.empty()) return;
  busy_ = true;
  batch_.clear();
  markers_.clear();
  std::size_t bytes = 0;
  while (!queue_.empty() && batch_.size() < destination_.most_messages()) {
    Message& next = queue_.front();
    if (!batch_.empty() && bytes + next.body.size() > destination_.most_bytes()) break;
    bytes += next.body.size();
    Message marker;
    marker.session = next.session;
    marker.through = next.through;
    markers_.push_back(std::move(marker));
    if (next.body.empty()) {
      bytes_ -= weight(next);
    } else {
      batch_.push_back(std::move(next));
    }
    queue_.pop_front();
  }
  hand_over();
}

void Delivery::hand_over() {
  waiting_ = false;
  {
    const std::lock_guard lock(mutex_);
    if (batch_.empty()) {
      result_ = Status();
    } else {
      todo_ = &batch_;
    }
  }
  if (!batch_.empty()) return work_.notify_one();
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Delivery::take_result() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  std::optional<Status> result;
  std::vector<LeftOut> left_out;
  {
    const std::lock_guard lock(mutex_);
    result = std::exchange(result_, std::nullopt);
    left_out.swap(left_out_);
  }
  if (!result) return;
  if (!*result) {
    const Error error = result->error();
    failing_ = true;
    if (error.reason != "unavailable") {
      stopped_ = true;
      return callbacks_.on_failed(error, std::nullopt);
    }
    wait_ = std::clamp(wait_ * 2, kFirstWait, kMostWait);
    waiting_ = true;
    callbacks_.on_failed(error, wait_);
    reactor_.after(wait_, [this] {
      if (!stopped_) hand_over();
    });
    return;
  }
  // Of a batch that is tried again this is said when it was.
  for (const LeftOut& one : left_out) callbacks_.on_left_out(batch_[one.index], one.error);
  wait_ = {};
  if (std::exchange(failing_, false)) callbacks_.on_recovered();
  for (const Message& message : batch_) bytes_ -= weight(message);
  batch_.clear();
  busy_ = false;
  // Of each session the last counts.
  const std::vector<Message> markers = std::exchange(markers_, {});
  for (auto marker = markers.begin(); marker != markers.end(); ++marker) {
    const bool later = std::any_of(marker + 1, markers.end(), [&](const Message& other) {
      return other.session == marker->session;
    });
    if (!later) callbacks_.on_delivered(marker->session, marker->through);
  }
  send();
  callbacks_.on_room();
}

}  // namespace sluice::collect
