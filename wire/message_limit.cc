#include "wire/message_limit.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>

namespace sluice::wire {

namespace {

constexpr unsigned char kMore = 1, kLong = 2, kCommand = 4;
// Offsets in the greeting: its signature's first and last byte, the major version.
constexpr std::uint64_t kSignature = 0, kSignatureEnd = 9, kVersion = 10, kGreetingBytes = 64;

// The meters of the connections that were accepted, by descriptor. A descriptor is libzmq's I/O
// thread's from accept4() to close().
std::array<std::atomic<MessageMeter*>, 65536> meters;
std::atomic<std::uint64_t> resets{0};

// What connections with CURVE have sent of a message that isn't complete, by where libzmq has the
// connection's key. A connection is one I/O thread's from its handshake on.
thread_local std::unordered_map<const unsigned char*, FrameCount> curve_counts;
thread_local std::unordered_map<const unsigned char*, Subscriptions> curve_subscriptions;
// In front of a frame's content, within what is encrypted; its bits aren't those of ZMTP's header.
constexpr unsigned char kCurveMore = 1, kCurveCommand = 2;
constexpr unsigned long long kCurveMacBytes = 16;

std::atomic<MessageMeter*>* place(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < meters.size()
             ? &meters[static_cast<std::size_t>(fd)]
             : nullptr;
}

void put(int fd, MessageMeter* meter) {
  auto* const at = place(fd);
  // What a wider table would be needed for isn't metered: no session has so many peers.
  delete (at != nullptr ? at->exchange(meter) : meter);
}

// Whether a connection that was accepted may stay. Descriptors are given out from the lowest on.
bool has_room(int fd) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || static_cast<rlim_t>(fd) < files.rlim_cur / 2)
    return true;
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
         own.ss_family == AF_UNIX;
}

}  // namespace

bool MessageMeter::take(std::span<const unsigned char> bytes) {
  while (!over_ && !bytes.empty()) {
    if (in_ == In::kBody) {
      const auto skipped = std::min<std::uint64_t>(left_, bytes.size());
      left_ -= skipped;
      bytes = bytes.subspan(skipped);
      if (left_ == 0) in_ = In::kFlags;
      continue;
    }
    const unsigned char byte = bytes.front();
    bytes = bytes.subspan(1);
    switch (in_) {
      case In::kGreeting: {
        const std::uint64_t at = kGreetingBytes - left_;
        over_ = (at == kSignature && byte != 0xff) || (at == kSignatureEnd && (byte & 1) == 0) ||
                (at == kVersion && byte < 3);
        if (--left_ == 0) in_ = In::kFlags;
        break;
      }
      case In::kFlags:
        flags_ = byte;
        length_ = 0;
        left_ = (byte & kLong) != 0 ? 8 : 1;
        in_ = In::kLength;
        break;
      case In::kLength:
        length_ = (length_ << 8) | byte;
        if (--left_ == 0) over_ = !begin_frame();
        break;
      case In::kBody: break;
    }
  }
  return !over_;
}

bool FrameCount::take(bool more, std::uint64_t bytes) {
  if (++frames_ > kMostFrames || bytes > kMostMessageBytes - bytes_) return false;
  bytes_ += bytes;
  if (!more) frames_ = bytes_ = 0;
  return true;
}

namespace {

constexpr std::string_view kSubscribe = "\x09SUBSCRIBE", kCancel =
                                                             "\x06"
                                                             "CANCEL";

}  // namespace

bool Subscriptions::concerned(bool command, std::string_view content) {
  if (command) return content.starts_with(kSubscribe) || content.starts_with(kCancel);
  return !content.empty() && static_cast<unsigned char>(content.front()) <= 1;
}

bool Subscriptions::take(bool command, std::string_view content) {
  if (!concerned(command, content)) return true;
  const bool begins = command ? content.starts_with(kSubscribe) : content.front() == 1;
  const std::string_view topic = content.substr(!command ? 1
                                                : begins ? kSubscribe.size()
                                                         : kCancel.size());
  const auto known = topics_.find(topic);
  if (!begins) {
    if (known == topics_.end()) return false;
    bytes_ -= topic.size();
    topics_.erase(known);
    return true;
  }
  if (known != topics_.end()) return true;
  if (topics_.size() >= kMostTopics || topic.size() > kMostBytes - bytes_) return false;
  bytes_ += topic.size();
  topics_.emplace(topic);
  return true;
}

// Its header is there. False: it is one too many, or too long beside those before it.
bool MessageMeter::begin_frame() {
  left_ = length_;
  in_ = left_ == 0 ? In::kFlags : In::kBody;
  // Commands come between the frames of a message, and are libzmq's own.
  if ((flags_ & kCommand) != 0) return length_ <= kMostMessageBytes;
  return count_.take((flags_ & kMore) != 0, length_);
}

std::uint64_t connections_reset() { return resets; }

}  // namespace sluice::wire

// The names are the linker's (ld, --wrap).
extern "C" {

int __real_accept4(int fd, sockaddr* address, socklen_t* length, int flags);
ssize_t __real_recv(int fd, void* buffer, size_t size, int flags);
int __real_close(int fd);

int __wrap_accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  const int accepted = __real_accept4(fd, address, length, flags);
  if (accepted >= 0 && !sluice::wire::has_room(accepted)) {
    __real_close(accepted);
    ++sluice::wire::resets;
    errno = ECONNABORTED;
    return -1;
  }
  if (accepted >= 0) sluice::wire::put(accepted, new sluice::wire::MessageMeter);
  return accepted;
}

ssize_t __wrap_recv(int fd, void* buffer, size_t size, int flags) {
  const ssize_t got = __real_recv(fd, buffer, size, flags);
  auto* const at = sluice::wire::place(fd);
  sluice::wire::MessageMeter* const meter = at != nullptr ? at->load() : nullptr;
  if (meter == nullptr || got <= 0) return got;
  if (meter->take({static_cast<const unsigned char*>(buffer), static_cast<std::size_t>(got)}))
    return got;
  ++sluice::wire::resets;
  errno = ECONNRESET;
  return -1;
}

int __wrap_close(int fd) {
  if (auto* const at = sluice::wire::place(fd); at != nullptr && at->load() != nullptr)
    sluice::wire::put(fd, nullptr);
  return __real_close(fd);
}

int __real_crypto_box_beforenm(unsigned char* key, const unsigned char* public_key,
                               const unsigned char* secret_key);
int __real_crypto_box_open_easy_afternm(unsigned char* text, const unsigned char* box,
                                        unsigned long long size, const unsigned char* nonce,
                                        const unsigned char* key);

// A handshake makes the connection's key, where that of an earlier connection may have been.
int __wrap_crypto_box_beforenm(unsigned char* key, const unsigned char* public_key,
                               const unsigned char* secret_key) {
  sluice::wire::curve_counts.erase(key);
  sluice::wire::curve_subscriptions.erase(key);
  return __real_crypto_box_beforenm(key, public_key, secret_key);
}

// libzmq opens the frames of messages by this, and nothing else. A frame that can't be opened ends
// the connection.
int __wrap_crypto_box_open_easy_afternm(unsigned char* text, const unsigned char* box,
                                        unsigned long long size, const unsigned char* nonce,
                                        const unsigned char* key) {
  using namespace sluice::wire;
  const int opened = __real_crypto_box_open_easy_afternm(text, box, size, nonce, key);
  if (opened != 0 || size <= kCurveMacBytes) return opened;
  const unsigned char flags = text[0];
  const bool command = (flags & kCurveCommand) != 0;
  const std::string_view content(reinterpret_cast<const char*>(text) + 1,
                                 size - kCurveMacBytes - 1);
  if (Subscriptions::concerned(command, content)) {
    const auto said = curve_subscriptions.try_emplace(key).first;
    const bool good = said->second.take(command, content);
    if (!good || said->second.empty()) curve_subscriptions.erase(said);
    if (!good) {
      ++resets;
      return -1;
    }
  }
  if (command) return opened;
  const bool more = (flags & kCurveMore) != 0;
  auto count = curve_counts.find(key);
  if (count == curve_counts.end()) {
    if (!more) return opened;  // it is a message by itself, and no longer than a frame may be
    count = curve_counts.emplace(key, FrameCount()).first;
  }
  const bool fits = count->second.take(more, size - kCurveMacBytes - 1);
  if (!more || !fits) curve_counts.erase(count);
  if (fits) return opened;
  ++resets;
  return -1;
}

}  // extern "C"
