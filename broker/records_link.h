// The broker's part of the records link (spec/records.md): publishers' APPEND, readers' NEXT, who
// is there, and the end. No sockets; one thread.
//
// A message costs what it says, and looks at the readers at most; only beat() looks at every peer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/occurrences.h"
#include "broker/link_core.h"
#include "broker/record_log.h"

namespace sluice::broker {

class RecordsLink {
 public:
  // `log` and `clock` must outlive it.
  RecordsLink(RecordLog& log, SessionIdentity identity, Send send, RecordLog::OnRecord on_record,
              const Clock& clock);

  // Takes one message of a peer: its frames after the identity, valid for the call. APPENDs that
  // come one behind the other are written and answered with flush(), or when there are kWriteBytes
  // of them.
  void handle(const std::string& identity, std::span<const std::string_view> frames,
              const Sender& sender);
  // By what tickets of runners from elsewhere are checked; without it none is good.
  void check_tickets_by(std::string secret) { ticket_secret_ = std::move(secret); }
  // How many bytes the next BATCH to a peer may have; 0: it has to wait for those before it.
  // Without it kMaxBatchBytes.
  void bound_by(std::function<std::size_t(const std::string& identity)> room) {
    room_ = std::move(room);
  }
  // Called behind the last message that is there, before anything else.
  void flush();
  // Called once each kHeartbeatMs.
  void beat();
  // Answers readers that have waited long enough, and moves the end on. Called at next_deadline().
  void run_deadlines();
  std::optional<Duration> next_deadline() const;

  // Begins the session's end: publishers that the log knows may finish, readers get everything, and
  // finished() is true when all that has been done, or kEndLimit is over.
  void begin_ending();
  bool finished() const;

  // `callback` is called whenever an APPEND couldn't be written (R15): at every attempt of a
  // publisher, each second.
  void on_log_failure(std::function<void(const Error&)> callback) {
    on_log_failure_ = std::move(callback);
  }

  std::vector<wire::Peer> peers() const;
  std::uint64_t malformed() const { return malformed_; }

  // How long the end may take: for publishers, and in all.
  static constexpr Duration kDrainLimit = std::chrono::milliseconds(1000);
  // How long it takes, at the end, between two looks whether those who are waited for are still
  // there.
  static constexpr Duration kEndProbe = std::chrono::milliseconds(20);
  static constexpr Duration kEndLimit = std::chrono::milliseconds(2000);
  // How long a broker that found a log waits for those who wrote and read it to come back.
  static constexpr Duration kReturnTime = std::chrono::milliseconds(300);
  // How much of what has come is written at once.
  static constexpr std::size_t kWriteBytes = 256u << 10;
  static constexpr std::uint32_t kMaxBatch = 4096;
  static constexpr std::size_t kMaxBatchBytes = 1u << 20;
  static constexpr std::uint32_t kMaxWaitMs = 30000;
  // How often a reader that doesn't read what it asked for is looked at.
  static constexpr Duration kFullRetry = std::chrono::milliseconds(50);

 private:
  struct Waiting {
    wire::Next next;
    Duration deadline;
  };
  struct PeerState {
    wire::Hello hello;
    wire::PeerIdentity who;
    std::string user_id;
    unsigned silent = 0;   // beats since it was heard
    unsigned unasked = 0;  // beats since it was sent one
    bool publishes = false;
    // A gap was reported; APPENDs that were under way then have it too, and are dropped in silence.
    bool resend_asked = false;
    std::optional<std::uint64_t> last_published;  // said after ENDING
    std::uint64_t cursor = 0;                     // readers: what they asked for last
    std::optional<Waiting> waiting;
    bool has_end = false;
  };
  using Peers = std::map<std::string, PeerState>;

  // Why the records of a peer from elsewhere are not taken; "" when they are.
  std::string_view wrong_records(const PeerState& peer, const wire::AppendView& append) const;
  void handle_hello(const std::string& identity, std::string_view body, const Sender& sender);
  void handle_append(Peers::iterator peer, std::string_view body);
  void handle_next(Peers::iterator peer, std::string_view body);
  // False when the peer turned out to be gone; it is removed by sweep() then.
  bool tell(Peers::iterator peer, std::string_view name, std::string body);
  void refuse(const std::string& identity, std::string_view reason);
  // At the end: whether the publisher has more than the log holds, or hasn't said.
  bool has_more(const PeerState& peer) const;
  void forget(Peers::iterator peer);
  // Sends a BATCH if there is something to say, or `now_or_never`.
  void answer(Peers::iterator peer, bool now_or_never);
  void serve_waiting();
  void advance_end();
  void sweep();

  RecordLog& log_;
  const SessionIdentity identity_;
  const Send send_;
  const RecordLog::OnRecord on_record_;
  std::function<void(const Error&)> on_log_failure_;
  const Clock& clock_;
  const Duration return_until_;
  Peers peers_;
  PeerCounts counts_;
  std::set<std::string> readers_;    // identities of peers that read, or come to
  std::set<std::string> undrained_;  // at the end: publishers that may have more; others have none
  std::string ticket_secret_;
  std::function<std::size_t(const std::string&)> room_;
  std::vector<std::string> gone_;
  std::map<std::string, std::uint64_t> owed_;  // ACKs: what they say once all is written
  std::uint64_t malformed_ = 0;
  Occurrences refused_;
  std::uint64_t served_ = 1;  // end_cursor() when waiting readers were last served
  enum class Phase { kOpen, kDraining, kClosed };
  Phase phase_ = Phase::kOpen;
  Duration ending_since_{};
  Duration probe_at_{};
};

}  // namespace sluice::broker
