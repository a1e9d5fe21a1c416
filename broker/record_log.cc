#include "broker/record_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/codec.h"

namespace sluice::broker {

namespace {

constexpr std::size_t kTailBytes = 8u << 20;

constexpr std::size_t kStampBytes = 32;  // behind stamp_of(), at most

// What the stamps of all records of an APPEND begin with.
std::string stamp_of(std::string_view instance, std::uint64_t epoch) {
  std::string out;
  wire::Writer writer(out);
  writer.string("src");
  writer.string(instance);
  writer.string("epoch");
  writer.unsigned_integer(epoch);
  writer.string("seq");
  return out;
}

// The record behind its stamp, to the end of `out`. `entries` is how many it has.
void stamp(std::string& out, std::string_view beginning, std::uint64_t sequence,
           std::uint64_t cursor, std::string_view record, std::size_t entries) {
  wire::Writer writer(out);
  writer.map(4 + entries);
  writer.raw(beginning);
  writer.unsigned_integer(sequence);
  writer.string("cursor");
  writer.unsigned_integer(cursor);
  writer.raw(wire::map_body(record));
}

bool good_type(std::string_view type) {
  return !type.empty() && type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
}

std::string_view text_of(std::string_view packed) {
  const auto tag = packed.empty() ? 0u : static_cast<unsigned char>(packed[0]);
  if ((tag & 0xe0) == 0xa0) return packed.substr(1);
  return tag == 0xd9 && packed.size() > 2 ? packed.substr(2) : std::string_view();
}

// A record that can't be passed on as it is: a reader would take a publisher's own `src` for the
// broker's stamp.
const char* what_is_wrong(std::string_view type, std::string_view record, std::size_t& count) {
  if (record.size() > RecordLog::kMaxRecord) return "a record is too large";
  if (!good_type(type)) return "a record's type is no name of a type";
  bool typed = false;
  bool stamped = false;
  count = 0;
  wire::MapWalk walk(record);
  for (std::string_view key, value; walk.next(key, value); ++count) {
    stamped = stamped || key == "src" || key == "epoch" || key == "seq" || key == "cursor";
    if (key == "type") typed = text_of(value) == type;
  }
  if (!walk.whole()) return "a record is no MessagePack map with string keys";
  if (stamped) return "a record has a key that the broker stamps";
  return typed ? nullptr : "a record's type is not the one that was announced";
}

AppendOutcome refused(std::string reason, std::string message) {
  return {AppendOutcome::Kind::kRefused, 0,
          Error{"broker", std::move(reason), std::move(message), {}, {}}};
}

}  // namespace

Result<RecordLog> RecordLog::open(const std::string& path) {
  std::vector<std::uint64_t> index;
  std::map<std::string, Publisher> publishers;
  std::string wrong;
  auto log = TRY(AppendLog::open(path, [&](std::uint64_t offset, std::string_view payload) {
    index.push_back(offset);
    const auto entries = wire::map_entries(payload);
    std::string source;
    Publisher state;
    bool whole = entries.has_value() && entries->size() >= 4 && (*entries)[0].first == "src" &&
                 (*entries)[1].first == "epoch" && (*entries)[2].first == "seq";
    if (whole) {
      source = text_of((*entries)[0].second);
      const auto epoch = wire::Document::parse((*entries)[1].second);
      const auto sequence = wire::Document::parse((*entries)[2].second);
      whole =
          epoch && sequence && epoch->root().get(state.epoch) && sequence->root().get(state.last);
    }
    if (!whole) {
      if (wrong.empty())
        wrong = fmt::format("{}: the record at offset {} has no stamp of a broker", path, offset);
      return;
    }
    auto& known = publishers[source];
    if (state.epoch > known.epoch || (state.epoch == known.epoch && state.last > known.last))
      known = state;
  }));
  if (!wrong.empty()) return fail("broker", "bad-log", wrong);
  RecordLog records(std::move(log));
  records.index_ = std::move(index);
  records.publishers_ = std::move(publishers);
  return records;
}

std::uint64_t RecordLog::acknowledged(const std::string& instance, std::uint64_t epoch) const {
  const auto found = publishers_.find(instance);
  return found != publishers_.end() && found->second.epoch == epoch ? found->second.last : 0;
}

AppendOutcome RecordLog::append(const std::string& instance, std::uint64_t epoch,
                                const wire::AppendView& message) {
  if (message.types.size() != message.records.size() || message.first == 0 ||
      message.first > UINT64_MAX - message.records.size()) {
    return refused("malformed", "an APPEND's numbers do not agree");
  }
  const auto known = publishers_.find(instance);
  if (known != publishers_.end() && epoch < known->second.epoch) {
    return refused("stale-epoch", fmt::format("'{}' has published in epoch {} already", instance,
                                              known->second.epoch));
  }
  if (known == publishers_.end() && publishers_.size() >= kMaxPublishers) {
    return refused("too-many-publishers", "the log takes no more publishers");
  }
  const std::uint64_t last = acknowledged(instance, epoch);
  if (message.first > last + 1) return {AppendOutcome::Kind::kResend, last + 1, {}};
  const std::size_t seen =
      std::min<std::uint64_t>(last + 1 - message.first, message.records.size());
  if (seen == message.records.size()) return {AppendOutcome::Kind::kTaken, last, {}};

  Unwritten taken;
  taken.chunk.first = unwritten_.empty()
                          ? end_cursor()
                          : unwritten_.back().chunk.first + unwritten_.back().types.size();
  AppendLog::Batch& records = taken.chunk.records;
  const std::string beginning = stamp_of(instance, epoch);
  std::size_t bytes = 0;
  for (std::size_t i = seen; i < message.records.size(); ++i)
    bytes += message.records[i].bytes.size() + beginning.size() + kStampBytes;
  records.reserve(message.records.size() - seen, bytes);
  for (std::size_t i = seen; i < message.records.size(); ++i) {
    const std::string_view record = message.records[i].bytes;
    std::size_t entries = 0;
    if (const char* wrong = what_is_wrong(message.types[i], record, entries)) {
      return refused("malformed", fmt::format("{} (sequence {})", wrong, message.first + i));
    }
    stamp(records.begin(), beginning, message.first + i, taken.chunk.first + records.size(), record,
          entries);
    if (auto ended = records.end(); !ended) return refused("malformed", ended.error().message);
  }
  taken.types.assign(message.types.begin() + static_cast<std::ptrdiff_t>(seen),
                     message.types.end());
  taken.instance = instance;
  if (known != publishers_.end()) taken.before = known->second;
  const std::uint64_t held = last + records.size();
  publishers_[instance] = {epoch, held};
  unwritten_bytes_ += records.bytes().size();
  unwritten_.push_back(std::move(taken));
  return {AppendOutcome::Kind::kTaken, held, {}};
}

Status RecordLog::write(const OnRecord& on_record) {
  std::vector<Unwritten> all = std::exchange(unwritten_, {});
  unwritten_bytes_ = 0;
  if (all.empty()) return {};
  std::vector<const AppendLog::Batch*> batches;
  for (const Unwritten& one : all) batches.push_back(&one.chunk.records);
  if (auto written = log_.append(batches, &index_); !written) {
    for (auto one = all.rbegin(); one != all.rend(); ++one) {
      if (one->before) {
        publishers_[one->instance] = *one->before;
      } else {
        publishers_.erase(one->instance);
      }
    }
    return written;
  }
  for (Unwritten& one : all) {
    const AppendLog::Batch& records = one.chunk.records;
    for (std::size_t i = 0; on_record && i < records.size(); ++i)
      on_record(one.types[i], records[i]);
    tail_bytes_ += records.bytes().size();
    tail_.push_back(std::move(one.chunk));
  }
  for (; tail_bytes_ > kTailBytes && tail_.size() > 1; tail_.pop_front())
    tail_bytes_ -= tail_.front().records.bytes().size();
  return {};
}

Result<RecordLog::Records> RecordLog::read(std::uint64_t cursor, std::size_t max,
                                           std::size_t max_bytes) const {
  Records found;
  const auto wanted = [&] {
    return cursor < end_cursor() && found.records.size() < max && found.bytes < max_bytes;
  };
  const auto add = [&](std::string_view record) {
    found.records.push_back({record});
    found.bytes += record.size();
    ++cursor;
  };
  const std::uint64_t first_kept = tail_.empty() ? end_cursor() : tail_.front().first;
  if (wanted() && cursor < first_kept) {
    // From where the record lies to where the first one does that is kept, or too many.
    const auto begin = index_.begin() + static_cast<std::ptrdiff_t>(cursor - 1);
    const auto limit =
        begin + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(first_kept - cursor, max));
    const auto end = std::find_if(
        begin + 1, limit, [&](std::uint64_t offset) { return offset - *begin >= max_bytes; });
    found.from_file = TRY(log_.read(*begin, end == index_.end() ? log_.size() : *end));
    for (const std::string_view record : found.from_file.payloads) add(record);
  }
  const auto after = std::upper_bound(
      tail_.begin(), tail_.end(), cursor,
      [](std::uint64_t wanted_cursor, const Chunk& chunk) { return wanted_cursor < chunk.first; });
  for (auto chunk = after == tail_.begin() ? after : std::prev(after); wanted(); ++chunk) {
    for (std::size_t i = cursor - chunk->first; i < chunk->records.size() && wanted(); ++i)
      add(chunk->records[i]);
  }
  return found;
}

}  // namespace sluice::broker
