#include "base/append_log.h"

#include <fstream>

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/test_directory.h"

using sluice::AppendLog;
using sluice::AppendLogReader;
using sluice::TestDirectory;

namespace {

std::vector<std::string> records_of(const std::string& file, std::uint64_t* cut = nullptr) {
  std::vector<std::string> seen;
  auto log = AppendLog::open(
      file, [&](std::uint64_t, std::string_view payload) { seen.emplace_back(payload); });
  REQUIRE(log.has_value());
  if (cut != nullptr) *cut = log->cut();
  return seen;
}

}  // namespace

TEST_CASE("a log gives back what was appended, in order") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  {
    auto log = AppendLog::open(file, {});
    REQUIRE(log.has_value());
    const auto first = log->append("one");
    REQUIRE(first.has_value());
    REQUIRE(log->append_batch({"two", "-", std::string(100000, 'x')}, nullptr).has_value());
    CHECK(log->read(*first).value() == "one");
    CHECK_FALSE(log->read(*first + 1).has_value());
    CHECK(log->append("").error().reason == "empty-record");
    AppendLog::Batch batch;
    std::string& bytes = batch.begin();
    bytes += "five";
    REQUIRE(batch.end().has_value());
    batch.begin();
    CHECK(batch.end().error().reason == "empty-record");
    batch.begin() += "six";
    REQUIRE(batch.end().has_value());
    CHECK((batch.size() == 2 && batch[0] == "five" && batch[1] == "six"));
    std::vector<std::uint64_t> offsets;
    AppendLog::Batch other;
    other.begin() += "seven";
    REQUIRE(other.end().has_value());
    REQUIRE(log->append({&batch, &other}, &offsets).has_value());
    CHECK(log->read(offsets.at(1)).value() == "six");
    CHECK(log->read(offsets.at(2)).value() == "seven");
  }
  const auto seen = records_of(file);
  REQUIRE(seen.size() == 7);
  CHECK(seen[1] == "two");
  CHECK(seen[3].size() == 100000);
  CHECK(seen[5] == "six");
  CHECK(seen[6] == "seven");
}

TEST_CASE("records that follow each other are read together") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  auto log = AppendLog::open(file, {});
  REQUIRE(log.has_value());
  std::vector<std::string> written;
  for (std::size_t i = 0; i < 3000; ++i)
    written.push_back(
        std::string(i == 1000 ? 600000 : 1 + i % 400, static_cast<char>('a' + i % 26)));
  std::vector<std::uint64_t> offsets;
  REQUIRE(log->append_batch({written.begin(), written.end()}, &offsets).has_value());
  const auto read = [&](std::uint64_t begin, std::uint64_t end) {
    const auto records = log->read(begin, end).value();
    return std::vector<std::string>(records.payloads.begin(), records.payloads.end());
  };
  CHECK(read(offsets[0], log->size()) == written);
  CHECK(read(offsets[998], offsets[1002]) ==
        std::vector<std::string>(written.begin() + 998, written.begin() + 1002));
  CHECK(read(offsets[7], offsets[8]) == std::vector<std::string>{written[7]});
  CHECK(read(offsets[7], offsets[7]).empty());
  CHECK(log->read(offsets[2999], log->size() + 1).error().reason == "torn-record");
  CHECK(log->read(offsets[7], offsets[9] - 1).error().reason == "bad-checksum");
  {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(static_cast<std::streamoff>(offsets[2000] + 9));
    damage.put('!');
  }
  CHECK(log->read(offsets[1990], offsets[2010]).error().reason == "bad-checksum");
}

TEST_CASE("a tail torn at any byte is cut off and the log goes on") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  {
    auto log = AppendLog::open(file, {});
    REQUIRE(log->append_batch({"first", "second"}, nullptr).has_value());
  }
  const std::string whole = sluice::read_file(file).value();
  const std::size_t first_end = 8 + 8 + 5;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(sluice::write_file_atomic(file, whole.substr(0, size)).has_value());
    const auto seen = records_of(file);
    CHECK(seen.size() == (size >= first_end ? 1u : 0u));
    auto log = AppendLog::open(file, {});
    REQUIRE(log->append("third").has_value());
    CHECK(records_of(file).back() == "third");
  }
}

TEST_CASE("a last record whose bytes changed is cut off") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  { REQUIRE(AppendLog::open(file, {})->append_batch({"first", "second"}, nullptr).has_value()); }
  std::string bytes = sluice::read_file(file).value();
  bytes.back() ^= 1;
  REQUIRE(sluice::write_file_atomic(file, bytes).has_value());
  std::uint64_t cut = 0;
  CHECK(records_of(file, &cut) == std::vector<std::string>{"first"});
  CHECK(cut == 8 + 6);
}

TEST_CASE("a log that is damaged anywhere before its last record is neither cut nor used") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  {
    REQUIRE(
        AppendLog::open(file, {})->append_batch({"first", "second", "third"}, nullptr).has_value());
  }
  const std::string whole = sluice::read_file(file).value();
  const std::size_t last = whole.size() - 8 - 5;
  for (std::size_t at = 8; at < last; ++at) {
    std::string bytes = whole;
    bytes[at] ^= 0x41;
    REQUIRE(sluice::write_file_atomic(file, bytes).has_value());
    const auto log = AppendLog::open(file, {});
    REQUIRE_FALSE(log.has_value());
    CHECK(log.error().reason == "damaged-log");
    CHECK(sluice::read_file(file).value() == bytes);
  }
}

TEST_CASE("what a loss of power leaves is cut off: a tail of zeros") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  { REQUIRE(AppendLog::open(file, {})->append("first").has_value()); }
  const std::string whole = sluice::read_file(file).value();
  REQUIRE(sluice::write_file_atomic(file, whole + std::string(4096, '\0')).has_value());
  std::uint64_t cut = 0;
  CHECK(records_of(file, &cut) == std::vector<std::string>{"first"});
  CHECK(cut == 4096);
}

TEST_CASE("a file that is no log is left alone") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  REQUIRE(sluice::write_file_atomic(file, "somebody's notes").has_value());
  const auto log = AppendLog::open(file, {});
  REQUIRE_FALSE(log.has_value());
  CHECK(log.error().reason == "not-a-log");
  CHECK(sluice::read_file(file).value() == "somebody's notes");
}

TEST_CASE("a log is read while it is written, and after") {
  const TestDirectory scratch;
  const std::string file = scratch / "log";
  CHECK_FALSE(AppendLogReader::open(file).has_value());
  auto log = AppendLog::open(file, {});
  REQUIRE(log.has_value());
  auto reader = AppendLogReader::open(file);
  REQUIRE(reader.has_value());
  CHECK(reader->next().value().empty());
  // Longer and shorter than what is read at once.
  for (const std::size_t size : {std::size_t{1}, std::size_t{700'000}, std::size_t{3}})
    REQUIRE(log->append(std::string(size, 'a')).has_value());
  CHECK(reader->next().value() == "a");
  CHECK(reader->next().value() == std::string(700'000, 'a'));
  CHECK(reader->next().value() == "aaa");
  CHECK(reader->next().value().empty());
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(log->append(std::to_string(i) + std::string(100, '.')).has_value());
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(reader->next().value() == std::to_string(i) + std::string(100, '.'));
  CHECK(reader->next().value().empty());
  // What is torn isn't there.
  std::ofstream(file, std::ios::app | std::ios::binary) << std::string("\x10\0\0\0abcd12", 10);
  CHECK(reader->next().value().empty());
  std::ofstream(file, std::ios::app | std::ios::binary) << std::string(14, 'x');
  CHECK(reader->next().error().reason == "damaged-log");
}
