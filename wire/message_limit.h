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
// them decrypted, which the linker gives this library in the same way; and what such a connection,
// which is a stranger's machine's, subscribes to is followed there (Subscriptions).
//
// Connections from elsewhere are accepted only while half of the process's descriptors are left:
// libzmq ends the process when there is none for the session's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

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

// What one connection subscribes to. libzmq's XPUB keeps topics in a tree with a node for each
// byte, as many as a peer says; and passes on that a topic isn't wanted any more when somebody says
// so who never wanted it, while others do.
class Subscriptions {
 public:
  static constexpr std::size_t kMostTopics = 1024;
  static constexpr std::size_t kMostBytes = 64u << 10;

  // Takes a frame's content, which may say a subscription or its end ("\1TOPIC" and "\0TOPIC", or
  // the commands SUBSCRIBE and CANCEL). False: these are too many, or it takes back what it hasn't
  // said.
  bool take(bool command, std::string_view content);
  bool empty() const { return topics_.empty(); }
  // Whether take() would look at that at all.
  static bool concerned(bool command, std::string_view content);

 private:
  std::set<std::string, std::less<>> topics_;
  std::size_t bytes_ = 0;
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
