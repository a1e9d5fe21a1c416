#include "broker/records_link.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "wire/session.h"

namespace sluice::broker {

using wire::encode;

RecordsLink::RecordsLink(RecordLog& log, SessionIdentity identity, Send send,
                         RecordLog::OnRecord on_record, const Clock& clock)
    : log_(log), identity_(std::move(identity)), send_(std::move(send)),
      on_record_(std::move(on_record)), clock_(clock),
      return_until_(log.end_cursor() > 1 ? clock.monotonic() + kReturnTime : Duration::zero()),
      served_(log.end_cursor()) {}

void RecordsLink::handle(const std::string& identity, std::span<const std::string_view> frames,
                         const Sender& sender) {
  if (wire::is_probe(frames)) return;
  if (frames.size() != 2) {
    ++malformed_;
    return;
  }
  const std::string_view name = frames[0];
  // APPEND and NEXT don't ask what is held of a publisher.
  const bool may_wait = name == wire::Append::kName || name == wire::Next::kName;
  if (!may_wait) flush();
  if (name == wire::Hello::kName) {
    handle_hello(identity, frames[1], sender);
  } else {
    const auto peer = peers_.find(identity);
    // An identity may be another connection's by now.
    if (peer == peers_.end() || peer->second.user_id != sender.user_id) {
      refuse(identity, wire::kNoHello);
      return;
    }
    peer->second.silent = 0;
    if (name == wire::Append::kName) {
      handle_append(peer, frames[1]);
    } else if (name == wire::Next::kName) {
      handle_next(peer, frames[1]);
    } else if (name == wire::Heartbeat::kName) {
      const auto beat = wire::decode<wire::Heartbeat>(frames[1]);
      if (!beat) {
        ++malformed_;
      } else if (phase_ != Phase::kOpen) {
        peer->second.last_published = beat->count;
        if (phase_ == Phase::kDraining && has_more(peer->second)) undrained_.insert(identity);
      }
    } else {
      ++malformed_;
      refuse(identity, "unknown-command");
    }
  }
  if (!may_wait || log_.unwritten_bytes() >= kWriteBytes) flush();
}

void RecordsLink::flush() {
  if (!owed_.empty()) {
    const auto written = log_.write(on_record_);
    for (const auto& [identity, number] : std::exchange(owed_, {})) {
      const auto peer = peers_.find(identity);
      if (peer == peers_.end()) continue;
      if (written) {
        peer->second.resend_asked = false;
        tell(peer, wire::Ack::kName, encode(wire::Ack{number}));
      } else {
        // A NACK says that all is to be sent again, so no RESEND is needed.
        peer->second.resend_asked = tell(
            peer, wire::Nack::kName, encode(wire::Nack{wire::ErrorBody::from(written.error())}));
      }
    }
    if (!written && on_log_failure_) on_log_failure_(written.error());
  }
  serve_waiting();
  sweep();
  advance_end();
}

void RecordsLink::handle_hello(const std::string& identity, std::string_view body,
                               const Sender& sender) {
  const auto known = peers_.find(identity);
  const bool has_room = counts_.has_room(sender.user_id) ||
                        (known != peers_.end() && known->second.user_id == sender.user_id);
  const auto admitted = admit(body, wire::kRecordsProtocol, sender, has_room);
  if (!admitted) {
    if (admitted.error() == wire::kMalformed) ++malformed_;
    refuse(identity, admitted.error());
    return;
  }
  const wire::Hello* const hello = &admitted->hello;
  if (admitted->who.enrols) {
    refuse(identity, kNotAllowed);
    return;
  }
  if (wire::is_process_of_session(hello->instance) && !sender.of_session) {
    refuse(identity, wire::kNotOfSession);
    return;
  }
  PeerState state;
  state.hello = *hello;
  state.who = admitted->who;
  state.user_id = sender.user_id;
  // Said again: what it was before doesn't count.
  if (const auto before = peers_.find(identity); before != peers_.end()) forget(before);
  const auto peer = peers_.emplace(identity, std::move(state)).first;
  counts_.add(sender.user_id);
  // Peers of these roles come to read: an end that overtakes their first NEXT waits for it.
  if (hello->role == "renderer" || hello->role == "collector" || hello->role == "client")
    readers_.insert(identity);
  wire::Welcome welcome = welcome_to(identity_);
  welcome.acknowledged = log_.acknowledged(hello->instance, hello->epoch);
  welcome.end_cursor = log_.end_cursor();
  tell(peer, wire::Welcome::kName, encode(welcome));
  if (phase_ != Phase::kOpen)
    tell(peer, wire::Ending::kName, encode(wire::Ending{identity_.session}));
}

void RecordsLink::handle_append(Peers::iterator peer, std::string_view body) {
  const std::string from = peer->first;
  PeerState& state = peer->second;
  const auto append = wire::decode<wire::AppendView>(body);
  if (!append) {
    ++malformed_;
    refuse(from, wire::kMalformed);
    return;
  }
  if (const std::string_view wrong = wrong_records(state, *append); !wrong.empty()) {
    ++malformed_;
    if (const std::uint64_t times = refused_.note(state.who.name))
      log::warn("{} may not publish the records that it did: {} ({} times so far)", state.who.name,
                wrong, times);
    refuse(from, wrong);
    return;
  }
  if (phase_ == Phase::kClosed ||
      (phase_ == Phase::kDraining && !log_.knows(state.hello.instance))) {
    tell(peer, wire::Ending::kName, encode(wire::Ending{identity_.session}));
    return;
  }
  state.publishes = true;
  if (phase_ == Phase::kDraining) undrained_.insert(from);
  const AppendOutcome outcome = log_.append(state.hello.instance, state.hello.epoch, *append);
  if (outcome.kind == AppendOutcome::Kind::kTaken) {
    owed_[from] = outcome.number;
    return;
  }
  flush();
  peer = peers_.find(from);
  if (peer == peers_.end()) return;
  if (outcome.kind == AppendOutcome::Kind::kRefused) {
    ++malformed_;
    // It says nothing more, and nothing of it is waited for.
    peer->second.publishes = false;
    undrained_.erase(from);
    refuse(from, outcome.error.reason);
  } else if (!peer->second.resend_asked) {
    // The resend begins at what is acknowledged, not at outcome.number: what came before the gap
    // may just not have been written.
    const std::uint64_t needed =
        log_.acknowledged(peer->second.hello.instance, peer->second.hello.epoch) + 1;
    peer->second.resend_asked = tell(peer, wire::Resend::kName, encode(wire::Resend{needed}));
  }
}

// Publishers of the session are its own processes. A runner from elsewhere may say something of the
// attempts that it was given, which their tickets show; nobody else from there may say anything.
std::string_view RecordsLink::wrong_records(const PeerState& peer,
                                            const wire::AppendView& append) const {
  if (!peer.who.remote) return {};
  if (peer.who.role != wire::Role::kRunner) return kNotAllowed;
  if (append.tickets.size() != append.records.size() ||
      append.types.size() != append.records.size())
    return wire::kMalformed;
  for (std::size_t i = 0; i < append.records.size(); ++i) {
    if (append.types[i] != "job.message") return kNotAllowed;
    if (!good_ticket(append.records[i].bytes, append.tickets[i], ticket_secret_, peer.who.name))
      return "bad-ticket";
  }
  return {};
}

void RecordsLink::handle_next(Peers::iterator peer, std::string_view body) {
  auto next = wire::decode<wire::Next>(body);
  if (!next || next->max == 0) {
    ++malformed_;
    refuse(peer->first, wire::kMalformed);
    return;
  }
  if (next->cursor == 0 || next->cursor > log_.end_cursor()) {
    refuse(peer->first, "bad-cursor");
    return;
  }
  if (peer->second.who.remote && peer->second.who.role == wire::Role::kRunner) {
    refuse(peer->first, kNotAllowed);
    return;
  }
  next->max = std::min(next->max, kMaxBatch);
  readers_.insert(peer->first);
  peer->second.cursor = next->cursor;
  const std::uint32_t wait_ms = std::min(next->wait_ms, kMaxWaitMs);
  // One for each reader: a second NEXT takes the place of the first.
  peer->second.waiting = Waiting{*next, clock_.monotonic() + std::chrono::milliseconds(wait_ms)};
  answer(peer, wait_ms == 0);
}

void RecordsLink::answer(Peers::iterator peer, bool now_or_never) {
  auto& state = peer->second;
  if (!state.waiting) return;
  const wire::Next next = state.waiting->next;
  const bool over = phase_ == Phase::kClosed;
  if (next.cursor >= log_.end_cursor() && !over && !now_or_never) return;
  const std::size_t room = room_ ? std::min(room_(peer->first), kMaxBatchBytes) : kMaxBatchBytes;
  if (room == 0) {
    state.waiting->deadline = clock_.monotonic() + kFullRetry;
    return;
  }
  wire::BatchView batch;
  const auto records = log_.read(next.cursor, next.max, room);
  if (!records) {
    // The file is damaged or gone from under us; the reader must not take that for an end.
    refuse(peer->first, "unreadable");
    state.waiting.reset();
    return;
  }
  batch.records = records->records;
  batch.next = next.cursor + batch.records.size();
  batch.ended = over && batch.next == log_.end_cursor();
  state.waiting.reset();
  if (tell(peer, wire::Batch::kName,
           encode(batch, records->bytes + 8 * records->records.size() + 64)) &&
      batch.ended)
    state.has_end = true;
}

void RecordsLink::serve_waiting() {
  if (served_ == log_.end_cursor()) return;
  served_ = log_.end_cursor();
  for (const std::string& reader : readers_) answer(peers_.find(reader), false);
}

void RecordsLink::beat() {
  const std::string heartbeat = encode(wire::Heartbeat{});
  for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
    PeerState& state = peer->second;
    if (++state.silent > kExpiryBeats) {
      gone_.push_back(peer->first);
    } else if (++state.unasked >= kQuietBeats || readers_.contains(peer->first) ||
               undrained_.contains(peer->first)) {
      state.unasked = 0;
      tell(peer, wire::Heartbeat::kName, heartbeat);
    }
  }
  sweep();
  advance_end();
}

void RecordsLink::run_deadlines() {
  const Duration now = clock_.monotonic();
  for (const std::string& reader : readers_) {
    const auto peer = peers_.find(reader);
    if (peer->second.waiting && peer->second.waiting->deadline <= now) answer(peer, true);
  }
  // A peer that has left shows only when something is sent to it; at the end the next beat is too
  // far away for those who are waited for.
  if (phase_ != Phase::kOpen && probe_at_ <= now) {
    probe_at_ = now + kEndProbe;
    std::set<std::string> awaited = undrained_;
    for (const std::string& reader : readers_) {
      if (!peers_.find(reader)->second.has_end) awaited.insert(reader);
    }
    const std::string heartbeat = encode(wire::Heartbeat{});
    for (const std::string& each : awaited)
      tell(peers_.find(each), wire::Heartbeat::kName, heartbeat);
  }
  sweep();
  advance_end();
}

std::optional<Duration> RecordsLink::next_deadline() const {
  std::optional<Duration> first;
  const auto consider = [&](Duration when) {
    if (!first || when < *first) first = when;
  };
  for (const std::string& reader : readers_) {
    const PeerState& peer = peers_.find(reader)->second;
    if (peer.waiting) consider(peer.waiting->deadline);
  }
  const Duration now = clock_.monotonic();
  if (phase_ != Phase::kOpen) {
    for (const Duration when :
         {return_until_, ending_since_ + kDrainLimit, ending_since_ + kEndLimit}) {
      if (when > now) consider(when);
    }
    consider(probe_at_);
  }
  return first;
}

void RecordsLink::begin_ending() {
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kDraining;
  ending_since_ = clock_.monotonic();
  probe_at_ = ending_since_ + kEndProbe;
  const std::string ending = encode(wire::Ending{identity_.session});
  // Peers that are not there any more show at once, and are not waited for.
  for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
    tell(peer, wire::Ending::kName, ending);
    if (has_more(peer->second)) undrained_.insert(peer->first);
  }
  sweep();
  advance_end();
}

bool RecordsLink::has_more(const PeerState& peer) const {
  return peer.publishes &&
         (!peer.last_published ||
          *peer.last_published > log_.acknowledged(peer.hello.instance, peer.hello.epoch));
}

void RecordsLink::advance_end() {
  if (phase_ != Phase::kDraining) return;
  const Duration now = clock_.monotonic();
  // The log forgets nothing, so that who has no more is not looked at again.
  while (!undrained_.empty() && !has_more(peers_.find(*undrained_.begin())->second))
    undrained_.erase(undrained_.begin());
  const bool drained = undrained_.empty();
  if (!(drained && now >= return_until_) && now < ending_since_ + kDrainLimit) return;
  phase_ = Phase::kClosed;
  undrained_.clear();  // whoever has more is waited for no longer
  for (const std::string& reader : readers_) answer(peers_.find(reader), false);
  sweep();
}

bool RecordsLink::finished() const {
  if (phase_ != Phase::kClosed) return false;
  if (clock_.monotonic() >= ending_since_ + kEndLimit) return true;
  return std::all_of(readers_.begin(), readers_.end(), [&](const std::string& reader) {
    return peers_.find(reader)->second.has_end;
  });
}

bool RecordsLink::tell(Peers::iterator peer, std::string_view name, std::string body) {
  const Sent sent = send_(peer->first, name, std::move(body));
  if (sent == Sent::kGone) gone_.push_back(peer->first);
  return sent == Sent::kSent;
}

void RecordsLink::refuse(const std::string& identity, std::string_view reason) {
  send_(identity, wire::Refused::kName, encode(wire::Refused{std::string(reason)}));
}

void RecordsLink::sweep() {
  for (const auto& identity : std::exchange(gone_, {})) {
    if (const auto peer = peers_.find(identity); peer != peers_.end()) forget(peer);
  }
}

void RecordsLink::forget(Peers::iterator peer) {
  readers_.erase(peer->first);
  undrained_.erase(peer->first);
  counts_.remove(peer->second.user_id);
  peers_.erase(peer);
}

std::vector<wire::Peer> RecordsLink::peers() const {
  std::vector<wire::Peer> all;
  for (const auto& [identity, peer] : peers_) {
    all.push_back({peer.hello.instance, peer.hello.role, "records", peer.hello.epoch, peer.cursor,
                   peer.silent, false});
  }
  return all;
}

}  // namespace sluice::broker
