// What a runner and its job processes say to each other, on a stream socket for each job: u32
// length (little-endian), then one MessagePack map.
//
//   runner -> job   JobStart, once; then JobNote as needed
//   job -> runner   JobEvent "message" ..., and one JobEvent "result" at the end
//
// End of file before a result: the process died. Between the runner and the job server (sluice-job
// --server FD), on a SOCK_SEQPACKET pair:
//
//   runner -> server   ServerRequest with, by SCM_RIGHTS, the job's end of its socket and the other
//                      descriptors that it names
//   server -> runner   ServerReply; "started" comes with the pidfd by SCM_RIGHTS
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/codec.h"
#include "wire/job_messages.h"

namespace sluice::wire {

// What the job's process says before anything else, as if it had found it out.
struct JobRemark {
  std::string level;  // info | warn
  std::string text;
};
template <typename C>
void fields(C& c, JobRemark& m) {
  c("level", m.level);
  c("text", m.text);
}

struct JobStart {
  Job job;
  // absolute; this attempt's alone while it lasts, then the next one's of its slot
  std::string scratch;
  std::string cachedir;  // as in the job's settings
  // Processes of all jobs of the host; 0: each job has those of its max-jobs. Else two more
  // descriptors come with the job's: tokens are read from the one and written to the other
  // (token_pool.h).
  std::uint32_t tokens = 0;
  // Whether the job is to be where its memory can be limited.
  bool limits_memory = false;
  std::vector<JobRemark> remarks;
};
template <typename C>
void fields(C& c, JobStart& m) {
  c("job", m.job);
  c("scratch", m.scratch);
  c.optional("cachedir", m.cachedir);
  c.optional("tokens", m.tokens);
  c.optional("limits_memory", m.limits_memory);
  c.optional("remarks", m.remarks);
}

struct JobNote {
  std::string kind;        // "paused"
  std::int64_t value = 0;  // paused: for how long the job was frozen, ns; said before it goes on
};
template <typename C>
void fields(C& c, JobNote& m) {
  c("kind", m.kind);
  c("value", m.value);
}

struct JobEvent {
  std::string kind;  // message | result | tokens (`elapsed` of them can be used at once)
  // message: as Event has them
  std::int64_t time = 0;
  std::string level, text, detail;
  std::int64_t elapsed = 0;
  // result
  std::optional<JobResult> result;
};
template <typename C>
void fields(C& c, JobEvent& m) {
  c("kind", m.kind);
  c.optional("time", m.time);
  c.optional("level", m.level);
  c.optional("text", m.text);
  c.optional("detail", m.detail);
  c.optional("elapsed", m.elapsed);
  c.optional("result", m.result);
}

// For how long a process that serves many jobs has the store open before it opens it anew. What
// any process has used since it opened the store doesn't expire (store/quota.h).
constexpr std::chrono::hours kStoreHeldFor{1};

struct ServerRequest {
  std::string cachedir;
  bool anew = false;  // the store is opened once more, for this job and those that follow
  // Descriptors that came after the socket, in this order.
  bool tokens = false;  // two
  bool group = false;   // the directory of the control group that the job is to be in
  bool memory = false;  // that of the one in which its memory can be limited
};
template <typename C>
void fields(C& c, ServerRequest& m) {
  c.optional("cachedir", m.cachedir);
  c.optional("anew", m.anew);
  c.optional("tokens", m.tokens);
  c.optional("group", m.group);
  c.optional("memory", m.memory);
}

struct ServerReply {
  std::string kind;  // started | exited | failed (fork: errno)
  std::int32_t pid = 0;
  std::int32_t code = 0;  // exited: status, or 128 + signal
  std::int32_t signal = 0;
};
template <typename C>
void fields(C& c, ServerReply& m) {
  c("kind", m.kind);
  c("pid", m.pid);
  c.optional("code", m.code);
  c.optional("signal", m.signal);
}

// A frame to send: length and body.
std::string frame(const std::string& body);

// Cuts frames out of a stream.
class FrameReader {
 public:
  explicit FrameReader(std::size_t limit = 64u << 20) : limit_(limit) {}
  void append(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame's body; std::nullopt: not there yet. `wire`/`malformed`: one is longer
  // than the limit; nothing more can be read then.
  Result<std::optional<std::string>> next();

 private:
  std::string buffer_;
  std::size_t limit_;
};

}  // namespace sluice::wire
