#include "wire/snapshot.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "tests/support/test_directory.h"
#include "tests/support/wire_samples.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

model::Snapshot example() {
  model::Snapshot snapshot;
  testing::Filler filler;
  filler.fill("projects", snapshot.projects);
  filler.fill("settings", snapshot.settings);
  filler.fill("warnings", snapshot.warnings);
  for (std::uint32_t i = 0; i < 3; ++i) {
    model::Element element;
    element.name = element.full_name = "element-" + std::to_string(i) + ".bst";
    element.kind = "manual";
    element.project = i % 2;
    if (i > 0) element.dependencies.push_back({i - 1, true, false, false});
    element.keys = {"w", "s", "f"};
    element.body = pack_body(testing::sample<model::ElementBody>());
    snapshot.elements.push_back(element);
  }
  snapshot.targets = {2};
  return snapshot;
}

}  // namespace

TEST_CASE("a snapshot comes back as it was, with or without bodies (L10)") {
  model::Snapshot snapshot = example();
  const std::string bytes = pack_snapshot(snapshot);
  CHECK(snapshot.id.size() == 64);
  auto whole = unpack_snapshot(bytes, true);
  REQUIRE(whole.has_value());
  CHECK(whole->id == snapshot.id);
  CHECK(pack_snapshot(*whole) == bytes);
  REQUIRE(unpack_body(whole->elements[1].body).has_value());
  CHECK(encode(*unpack_body(whole->elements[1].body)) == snapshot.elements[1].body);
  const auto front = unpack_snapshot(bytes, false);
  REQUIRE(front.has_value());
  CHECK(front->elements.size() == 3);
  CHECK(front->elements[1].body.empty());
}

TEST_CASE("what is no snapshot is refused, and why is said (L9)") {
  model::Snapshot snapshot = example();
  const std::string bytes = pack_snapshot(snapshot);
  const auto why = [](const std::string& changed) {
    const auto read = unpack_snapshot(changed, true);
    REQUIRE_FALSE(read.has_value());
    return read.error().message;
  };
  CHECK_THAT(why("SLSNAP2" + bytes.substr(7)), Catch::Contains("wrong first bytes"));
  CHECK_THAT(why(bytes.substr(0, 100)), Catch::Contains("it is cut off"));
  std::string changed = bytes;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  CHECK_THAT(why(changed), Catch::Contains("the bodies fail their checksum"));
  // Whoever leaves the bodies unread need not check them (L10).
  CHECK(unpack_snapshot(changed, false).has_value());
  ++snapshot.version;
  CHECK_THAT(why(pack_snapshot(snapshot)),
             Catch::Contains(fmt::format("version {}", snapshot.version)));
}

TEST_CASE("a snapshot cut off at any byte is an error (L9)") {
  model::Snapshot snapshot = example();
  const std::string bytes = pack_snapshot(snapshot);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = unpack_snapshot(std::string(bytes, 0, size), true);
    REQUIRE_FALSE(cut.has_value());
    REQUIRE(cut.error().domain == "wire");
  }
}

TEST_CASE("a snapshot with any byte changed is not taken for the same one (L7)") {
  model::Snapshot snapshot = example();
  const std::string bytes = pack_snapshot(snapshot);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x21);
    const auto read = unpack_snapshot(changed, true);
    if (read) REQUIRE(read->id != snapshot.id);
  }
}

TEST_CASE("indices of a snapshot are checked (L8)") {
  const auto refused = [](const std::function<void(model::Snapshot&)>& change) {
    model::Snapshot snapshot = example();
    change(snapshot);
    const auto read = unpack_snapshot(pack_snapshot(snapshot), true);
    return !read.has_value() && read.error().reason == "bad-snapshot";
  };
  CHECK_FALSE(refused([](model::Snapshot&) {}));
  CHECK(refused([](model::Snapshot& s) { s.elements[0].project = 2; }));
  CHECK(refused([](model::Snapshot& s) { s.elements[1].dependencies[0].element = 1; }));
  CHECK(refused([](model::Snapshot& s) { s.targets = {3}; }));
  CHECK(refused([](model::Snapshot& s) { ++s.version; }));
}

TEST_CASE("a snapshot's file is private and names itself in errors (L3)") {
  const TestDirectory scratch;
  const std::string path = scratch / "1";
  model::Snapshot snapshot = example();
  REQUIRE(write_snapshot(path, snapshot).has_value());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(read_snapshot(path, true)->id == snapshot.id);
  REQUIRE(write_file_atomic(path, "SLSNAP1\nshort").has_value());
  const auto read = read_snapshot(path, true);
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().message.find(path) != std::string::npos);
}
