// Golden bytes: what a message is on the wire does not change unnoticed, since logs and programs in
// other languages hold to it. SLUICE_APPROVE=1 in the environment rewrites the file; the difference
// is then reviewed like any other.
#include "wire/messages.h"

#include <cstdlib>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/wire_samples.h"
#include "wire/events.h"
#include "wire/job_messages.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

const std::string kGolden = std::string(SLUICE_SOURCE_DIR) + "/tests/golden/wire/messages.txt";

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

}  // namespace

TEST_CASE("every message has the bytes that it always had") {
  std::string now;
  testing::for_each_message([&]<typename T>(const char* name) {
    now += fmt::format("{} {}\n", name, hex(encode(testing::sample<T>())));
  });
  if (std::getenv("SLUICE_APPROVE") != nullptr)
    REQUIRE(write_file_atomic(kGolden, now).has_value());
  const auto golden = read_file(kGolden);
  REQUIRE(golden.has_value());
  std::istringstream then_lines(*golden);
  std::istringstream now_lines(now);
  std::string then_line;
  std::string now_line;
  while (std::getline(now_lines, now_line)) {
    std::getline(then_lines, then_line);
    CHECK(now_line == then_line);
  }
  CHECK(*golden == now);
}

TEST_CASE("an event that is too large is cut where it is, and says so (records R17a)") {
  const auto packed = [](std::string text, std::string detail) {
    ElementSection element;
    element.name = "a.bst";
    JobSection job;
    job.id = 7;
    job.attempt = 2;
    job.runner = "hostb";
    return pack_event(
        {.type = "job.message", .time = 5, .level = "info", .text = text, .detail = detail},
        {pack_section("element", element), pack_section("job", job)});
  };
  // What fits stays as it is.
  const std::string small = packed("a", std::string(10'000, 'x'));
  CHECK(fit_event(small) == small);
  CHECK(fit_event(small, small.size()) == small);
  CHECK(fit_event(small, small.size() - 1) != small);

  const std::string large = packed("a", std::string(2 << 20, 'x') + std::string(2 << 20, 'y'));
  const std::string fits = fit_event(large, 2 << 20);
  CHECK(fits.size() <= (2u << 20));
  const auto event = decode_event(fits);
  REQUIRE(event.has_value());
  CHECK(event->type == "job.message");
  CHECK(event->time == 5);
  CHECK(event->text == "a");
  CHECK(event->detail == std::string((1 << 20) - 5, 'x') + "[...]");
  // A ticket is of these.
  CHECK((event->job->id == 7 && event->job->attempt == 2 && event->job->runner == "hostb"));
  CHECK(event->element->name == "a.bst");
  std::uint64_t had = 0;
  CHECK((Document::parse(fits)->root().find("cut").get(had) && had == large.size()));

  // A character isn't cut in two.
  std::string wide = "x";
  while (wide.size() < (4u << 20)) wide += "ä";
  const auto cut = decode_event(fit_event(packed(wide, ""), 2 << 20));
  CHECK(cut->text.starts_with("xää"));
  CHECK(valid_utf8(cut->text) == cut->text);

  // Long lists are cut, too.
  std::string many;
  Writer writer(many);
  writer.map(4);
  writer.string("v");
  writer.unsigned_integer(kEventVersion);
  writer.string("type");
  writer.string("run.started");
  writer.string("time");
  writer.unsigned_integer(9);
  writer.string("names");
  writer.array(300'000);
  for (int i = 0; i < 300'000; ++i) writer.string("element-" + std::to_string(i));
  const std::string fewer = fit_event(many, 1 << 20);
  CHECK(fewer.size() <= (1u << 20));
  const auto list = Document::parse(fewer);
  CHECK(list->root().find("names").size() == 16384);
  const auto shorter = decode_event(fewer);
  REQUIRE(shorter.has_value());
  CHECK(shorter->time == 9);

  // And where nothing helps, that is what is said.
  std::string wild;
  Writer keys(wild);
  keys.map(20'002);
  keys.string("type");
  keys.string("message");
  keys.string("time");
  keys.unsigned_integer(11);
  for (int i = 0; i < 20'000; ++i) {
    keys.string("key-" + std::to_string(i));
    keys.nil();
  }
  const auto left_out = decode_event(fit_event(wild, 100'000));
  REQUIRE(left_out.has_value());
  CHECK(left_out->type == "message");
  CHECK(left_out->time == 11);
  CHECK(left_out->text.starts_with("An event of "));
}

TEST_CASE("every message has a sample") {
  std::set<std::string> sampled;
  testing::for_each_message([&]<typename T>(const char* name) { sampled.insert(name); });
  int declared = 0;
  for (const char* header : {"messages.h", "events.h", "access.h", "joined.h"}) {
    const std::string text = read_file(std::string(SLUICE_SOURCE_DIR) + "/wire/" + header).value();
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto comma = line.find(", ");
      const auto end = line.find('&', comma);
      if (!line.starts_with("void fields(C&") || end == std::string::npos) continue;
      std::string type = line.substr(comma + 2, end - comma - 2);
      // A message that is decoded as views too.
      if (type.starts_with("Basic")) type = type.substr(5, type.find('<') - 5);
      INFO(type << " of " << header << " belongs into tests/support/wire_samples.h");
      CHECK(sampled.contains(type));
      ++declared;
    }
  }
  CHECK(declared > 40);
}

TEST_CASE("every message survives a round trip") {
  testing::for_each_message([]<typename T>(const char* name) {
    INFO(name);
    const std::string bytes = encode(testing::sample<T>());
    const auto back = decode<T>(bytes);
    REQUIRE(back.has_value());
    CHECK(encode(*back) == bytes);
  });
}

TEST_CASE("every message cut off at any byte is an error") {
  testing::for_each_message([]<typename T>(const char* name) {
    INFO(name);
    const std::string bytes = encode(testing::sample<T>());
    for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 2000) {
      // A copy of its own, so that a sanitizer sees a read past the end.
      const std::string cut(bytes, 0, size);
      const auto back = decode<T>(cut);
      REQUIRE_FALSE(back.has_value());
      REQUIRE(back.error().reason == "malformed");
    }
    CHECK_FALSE(decode<T>(bytes + "\xc0").has_value());
  });
}

TEST_CASE("every message with a byte changed is decoded or refused, never worse") {
  testing::for_each_message([]<typename T>(const char*) {
    const std::string bytes = encode(testing::sample<T>());
    // Of large ones every so many bytes: the fuzzer (tests/fuzz) does the rest.
    for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 500) {
      for (const unsigned char value :
           {0x00, 0x80, 0x91, 0xc0, 0xc1, 0xc6, 0xdb, 0xdd, 0xdf, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(value);
        const auto back = decode<T>(changed);
        // What was taken can be written, and read again.
        if (back) REQUIRE(decode<T>(encode(*back)).has_value());
      }
    }
  });
}

TEST_CASE("a field that is missing or of the wrong type is named") {
  std::string bytes;
  Writer writer(bytes);
  writer.map(2);
  writer.string("protocol");
  writer.string("records/1");
  writer.string("role");
  writer.string("client");
  const auto missing = decode<Hello>(bytes);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().reason == "wrong-field");
  CHECK(missing.error().message.find("'instance'") != std::string::npos);

  bytes.clear();
  writer.map(2);
  writer.string("id");
  writer.map(2);
  writer.string("job");
  writer.unsigned_integer(1);
  writer.string("attempt");
  writer.string("one");
  writer.string("status");
  writer.string("success");
  const auto wrong = decode<JobResult>(bytes);
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().message.find("'id.attempt'") != std::string::npos);
}

TEST_CASE("unknown keys are ignored, missing optional ones keep their defaults") {
  std::string bytes;
  Writer writer(bytes);
  writer.map(3);
  writer.string("from the future");
  writer.map(1);
  writer.unsigned_integer(7);  // a key that is no string
  writer.nil();
  writer.string("cursor");
  writer.unsigned_integer(9);
  writer.unsigned_integer(3);
  writer.nil();
  const auto next = decode<Next>(bytes);
  REQUIRE(next.has_value());
  CHECK(next->cursor == 9);
  CHECK(next->max == 256);
}
