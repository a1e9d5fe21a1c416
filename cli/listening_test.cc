// spec/access.md: what is in a join file before anything is done with it.
#include "cli/listening.h"

#include <cstdlib>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/test_directory.h"

using namespace sluice;
using namespace sluice::cli;

namespace {

struct Fixture {
  TestDirectory owned;
  const std::string directory = owned.str();
  nlohmann::json join;

  Fixture() {
    REQUIRE(::setenv("XDG_STATE_HOME", (directory + "/state").c_str(), 1) == 0);
    join = {{"sluice-join", 1},
            {"session", "20261122-113755-042-3f9a"},
            {"role", "observe"},
            {"host", "build-7.example.org"},
            {"ports", {{"control", 4000}}},
            {"server-key", std::string(40, 'k')},
            {"enrolment-public-key", std::string(40, 'p')},
            {"enrolment-secret-key", std::string(40, 's')}};
  }
  Result<wire::JoinTicket> read() {
    const std::string path = directory + "/observe.json";
    REQUIRE(write_file_atomic(path, join.dump(), 0600).has_value());
    return read_join_file(path);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a join file's session is an id, and its host a host (access.md A40)") {
  REQUIRE(read().has_value());
  for (const std::string session :
       {"", "../../../../tmp/x", "a/b", ".", "..", "A", "a_b", "a b", "a\n", "\x1b[2J",
        "01234567890123456789012345678901234567890"}) {
    join["session"] = session;
    const auto refused = read();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().reason == "bad-join");
    CHECK(refused.error().message.find("'session' is no id") != std::string::npos);
  }
  join["session"] = std::string(40, 'a');
  REQUIRE(read().has_value());
  for (const std::string& host :
       {std::string(), std::string("a b"), std::string("\x1b[2J"), std::string(256, 'h')}) {
    join["host"] = host;
    CHECK(read().error().message.find("'host' is no name") != std::string::npos);
  }
  for (const char* host : {"10.0.0.7", "fe80::1%eth0", "::1", "localhost"}) {
    join["host"] = host;
    CHECK(read().has_value());
  }
}

TEST_CASE_METHOD(Fixture, "a place is taken below its home alone (access.md A40)") {
  const std::string id = "20261122-113755-042-3f9a";
  for (const char* session : {"../x", "/", "", "a/../b"})
    CHECK(take_join_place(session, "one").error().reason == "bad-join");
  for (const char* name : {"../x", "a/b", "", ".x", "-x", "a b"})
    CHECK(take_join_place(id, name).error().reason == "bad-name");
  CHECK_FALSE(path_exists(directory + "/state"));
  const auto place = take_join_place(id, "build-7.example.org");
  REQUIRE(place.has_value());
  CHECK(place->directory == directory + "/state/sluice/joined/" + id + "-build-7.example.org");
  // This machine is called so that it can be.
  const auto own = take_join_place(id, machine_name() + "-observe");
  CHECK(own.has_value());
}
