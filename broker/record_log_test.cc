#include "broker/record_log.h"

#include <csignal>

#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "tests/support/test_directory.h"
#include "wire/events.h"

using namespace sluice;
using namespace sluice::broker;
using Kind = AppendOutcome::Kind;

namespace {

struct Scratch {
  TestDirectory directory;
  std::string log() const { return directory / "records.log"; }
};

wire::Append append_of(std::uint64_t first, std::size_t count, std::size_t padding = 0) {
  wire::Append append;
  append.first = first;
  for (std::size_t i = 0; i < count; ++i) {
    append.types.push_back("message");
    append.records.push_back({wire::pack_event({.type = "message",
                                                .time = 1,
                                                .text = std::to_string(first + i),
                                                .detail = std::string(padding, 'x')},
                                               {})});
  }
  return append;
}

AppendOutcome take(RecordLog& log, const std::string& instance, std::uint64_t epoch,
                   const wire::Append& message) {
  wire::AppendView view{message.first, {message.types.begin(), message.types.end()}, {}};
  for (const wire::Blob& record : message.records) view.records.push_back({record.bytes});
  return log.append(instance, epoch, view);
}

AppendOutcome put(RecordLog& log, const std::string& instance, std::uint64_t epoch,
                  const wire::Append& message, const RecordLog::OnRecord& on_record) {
  auto outcome = take(log, instance, epoch, message);
  REQUIRE(log.write(on_record).has_value());
  return outcome;
}

// While it lives no file of this process may grow.
class NoSpace {
 public:
  NoSpace() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit_) == 0);
    const rlimit none{0, limit_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
  }
  ~NoSpace() {
    (void)::setrlimit(RLIMIT_FSIZE, &limit_);
    std::signal(SIGXFSZ, handler_);
  }
  NoSpace(const NoSpace&) = delete;
  NoSpace& operator=(const NoSpace&) = delete;

 private:
  void (*handler_)(int);
  rlimit limit_{};
};

}  // namespace

TEST_CASE("what was appended is there again after opening, and known (R3, R26)") {
  Scratch scratch;
  std::vector<std::string> told;
  std::vector<std::string> before;
  {
    auto log = RecordLog::open(scratch.log());
    REQUIRE(log.has_value());
    CHECK(log->end_cursor() == 1);
    const auto tell = [&](std::string_view type, std::string_view record) {
      CHECK(type == "message");
      told.emplace_back(record);
    };
    CHECK(put(*log, "a", 1, append_of(1, 3), tell).number == 3);
    CHECK(put(*log, "b", 7, append_of(1, 2), tell).number == 2);
    CHECK(put(*log, "a", 2, append_of(1, 1), tell).number == 1);
    const auto records = log->read(1, 100, 1 << 20);
    for (const auto& record : records->records) before.emplace_back(record.bytes);
  }
  CHECK(told.size() == 6);
  auto log = RecordLog::open(scratch.log());
  REQUIRE(log.has_value());
  CHECK(log->end_cursor() == 7);
  CHECK(log->acknowledged("a", 2) == 1);
  CHECK(log->acknowledged("a", 1) == 0);
  CHECK(log->acknowledged("b", 7) == 2);
  CHECK(log->knows("b"));
  CHECK_FALSE(log->knows("c"));
  const auto records = log->read(1, 100, 1 << 20);
  REQUIRE(records->records.size() == before.size());
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(records->records[i].bytes == before[i]);
  const auto event = wire::decode_event(before[3]);
  REQUIRE(event.has_value());
  CHECK((event->src == "b" && event->epoch == 7 && event->seq == 1 && event->cursor == 4 &&
         event->text == "1"));
}

TEST_CASE("APPENDs are written together; when that fails none of them was (R13, R15)") {
  Scratch scratch;
  auto log = RecordLog::open(scratch.log());
  REQUIRE(log.has_value());
  REQUIRE(put(*log, "a", 1, append_of(1, 1), {}).number == 1);
  std::vector<std::string> told;
  const auto tell = [&](std::string_view, std::string_view record) { told.emplace_back(record); };
  const auto take_some = [&] {
    CHECK(take(*log, "a", 1, append_of(2, 2)).number == 3);
    CHECK(take(*log, "b", 1, append_of(1, 1)).number == 1);
    CHECK(take(*log, "a", 1, append_of(3, 2)).number == 4);  // the first of which is there already
    CHECK(take(*log, "a", 1, append_of(6, 1)).kind == Kind::kResend);
    CHECK(take(*log, "a", 2, append_of(1, 1)).number == 1);
    CHECK(take(*log, "a", 1, append_of(5, 1)).error.reason == "stale-epoch");
    CHECK(log->end_cursor() == 2);
    CHECK(log->read(1, 100, 1 << 20)->records.size() == 1);
    CHECK(log->unwritten_bytes() > 0);
  };
  take_some();
  {
    const NoSpace none;
    CHECK_FALSE(log->write(tell).has_value());
  }
  CHECK(told.empty());
  CHECK(log->unwritten_bytes() == 0);
  CHECK(log->acknowledged("a", 1) == 1);
  CHECK_FALSE(log->knows("b"));
  CHECK(log->write(tell).has_value());  // nothing
  CHECK(log->end_cursor() == 2);
  take_some();
  CHECK(log->write(tell).has_value());
  const auto records = log->read(2, 100, 1 << 20);
  REQUIRE(records->records.size() == 5);
  REQUIRE(told.size() == 5);
  const std::vector<std::pair<std::string, std::uint64_t>> expected{
      {"a", 2}, {"a", 3}, {"b", 1}, {"a", 4}, {"a", 1}};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(told[i] == records->records[i].bytes);
    const auto event = wire::decode_event(told[i]);
    REQUIRE(event.has_value());
    CHECK(std::pair(event->src, event->seq) == expected[i]);
    CHECK(event->cursor == i + 2);
  }
  CHECK(RecordLog::open(scratch.log())->end_cursor() == 7);
}

TEST_CASE("what has left memory is read from the file, the same bytes (R26)") {
  Scratch scratch;
  auto log = RecordLog::open(scratch.log());
  REQUIRE(log.has_value());
  for (std::uint64_t i = 0; i < 12; ++i) {
    REQUIRE(put(*log, "a", 1, append_of(i * 10 + 1, 10, 100'000), {}).kind == Kind::kTaken);
  }
  for (std::uint64_t cursor = 1; cursor <= 120; cursor += 7) {
    const auto records = log->read(cursor, 1, 1 << 20);
    REQUIRE(records.has_value());
    REQUIRE(records->records.size() == 1);
    CHECK(wire::decode_event(records->records.front().bytes)->text == std::to_string(cursor));
  }
  // Bytes limit a batch, but for its first record.
  CHECK(log->read(1, 100, 250'000)->records.size() == 3);
  CHECK(log->read(1, 100, 1)->records.size() == 1);
  CHECK(log->read(121, 100, 1)->records.empty());
  CHECK(RecordLog::open(scratch.log())->end_cursor() == 121);
}

TEST_CASE("an APPEND with one bad record is refused whole (R17)") {
  Scratch scratch;
  auto log = RecordLog::open(scratch.log());
  REQUIRE(log.has_value());
  wire::Append append = append_of(1, 3);
  append.records[2].bytes.pop_back();
  CHECK(put(*log, "a", 1, append, {}).error.reason == "malformed");
  append = append_of(1, 3);
  append.records[1].bytes = append_of(1, 1, RecordLog::kMaxRecord).records[0].bytes;
  CHECK(put(*log, "a", 1, append, {}).error.reason == "malformed");
  append = append_of(1, 1);
  append.first = 0;
  CHECK(put(*log, "a", 1, append, {}).kind == Kind::kRefused);
  append.first = UINT64_MAX;
  CHECK(put(*log, "a", 1, append, {}).kind == Kind::kRefused);
  append.first = UINT64_MAX - 1;
  CHECK(put(*log, "a", 1, append, {}).kind == Kind::kResend);
  CHECK(log->end_cursor() == 1);
  CHECK_FALSE(log->knows("a"));
}

TEST_CASE("the number of publishers is limited (R19)") {
  Scratch scratch;
  auto log = RecordLog::open(scratch.log());
  REQUIRE(log.has_value());
  for (std::size_t i = 0; i < RecordLog::kMaxPublishers; ++i) {
    REQUIRE(put(*log, "p" + std::to_string(i), 1, append_of(1, 1), {}).kind == Kind::kTaken);
  }
  CHECK(put(*log, "one more", 1, append_of(1, 1), {}).error.reason == "too-many-publishers");
  CHECK(put(*log, "p7", 1, append_of(2, 1), {}).kind == Kind::kTaken);
}

TEST_CASE("a log of something else is not taken for records") {
  Scratch scratch;
  {
    auto other = AppendLog::open(scratch.log(), {});
    REQUIRE(other->append("\x81\xa1x\x01").has_value());
  }
  const auto log = RecordLog::open(scratch.log());
  REQUIRE_FALSE(log.has_value());
  CHECK(log.error().reason == "bad-log");
}
