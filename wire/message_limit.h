// A limit for a message that comes in, over all its frames.
//
// libzmq limits a frame (ZMQ_MAXMSGSIZE) and how many messages wait (the high-water mark). A
// message of many frames is neither: its frames are kept until the last one has come, and a peer
// that never says which one is the last has them kept for ever, where this process can't see them.
// So what libzmq reads from connections that its listeners have accepted is followed here, frame by
// frame: the linker gives libzmq this library's recv(), accept4() and close() (--wrap), since
// libzmq has no place to ask. A connection that is over the limit, or doesn't speak ZMTP 3, is
// reset; libzmq drops what it has of the message. Nothing is copied, and what is no accepted
// connection costs a look into a table.
//
// With CURVE each frame looks like a message from outside. There frames are counted as libzmq has
// them decrypted, which the linker gives this library in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::wire {

inline constexpr std::size_t kMostFrames = 64;
inline constexpr std::uint64_t kMostMessageBytes = 64u << 20;

// The frames of a message that isn't complete.
class FrameCount {
 public:
  // Takes the next frame's size. False: the message is over the limit.
  bool take(bool more, std::uint64_t bytes);

 private:
  std::size_t frames_ = 0;
  std::uint64_t bytes_ = 0;  // of the frames' bodies
};

// Follows the bytes of one connection from its first on (rfc.zeromq.org/spec/23: a greeting of 64
// bytes, then frames).
class MessageMeter {
 public:
  // False: over the limit, now or before.
  bool take(std::span<const unsigned char> bytes);

 private:
  bool begin_frame();

  enum class In { kGreeting, kFlags, kLength, kBody } in_ = In::kGreeting;
  std::uint64_t left_ = 64;  // bytes of what it is in
  unsigned char flags_ = 0;
  std::uint64_t length_ = 0;  // of the frame, as far as it is known
  FrameCount count_;
  bool over_ = false;
};

// Connections that were reset by it in this process.
std::uint64_t connections_reset();

}  // namespace sluice::wire
