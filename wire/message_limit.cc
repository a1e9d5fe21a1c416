#include "wire/message_limit.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

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

// Its header is there. False: it is one too many, or too long beside those before it.
bool MessageMeter::begin_frame() {
  left_ = length_;
  in_ = left_ == 0 ? In::kFlags : In::kBody;
  // Commands come between the frames of a message, and are libzmq's own.
  if ((flags_ & kCommand) != 0) return length_ <= kMostMessageBytes;
  if (++frames_ > kMostFrames || length_ > kMostMessageBytes - bytes_) return false;
  bytes_ += length_;
  if ((flags_ & kMore) == 0) frames_ = bytes_ = 0;
  return true;
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

}  // extern "C"
