#include "loader/kept_request.h"

#include <catch2/catch.hpp>

#include "tests/support/test_directory.h"

namespace sluice::loader {

TEST_CASE(
    "L11: a snapshot is loaded again as it was, from what is kept beside it and nothing else") {
  const TestDirectory directory;
  wire::LoadArguments asked;
  asked.what.directory = "/somewhere";
  asked.what.targets = {"a.bst", "b.bst"};
  asked.what.options = {{"arch", "arm"}};
  asked.overrides.strict = false;
  asked.wanted.builds = asked.wanted.import_sources = asked.wanted.accept_needs =
      asked.wanted.track = true;
  asked.wanted.snapshot_file = directory / "1";
  REQUIRE(keep_request(asked, std::string(64, 'a')));

  const auto again = request_again({asked.wanted.snapshot_file, std::string(64, 'a')});
  REQUIRE(again);
  CHECK(again->what.directory == asked.what.directory);
  CHECK(again->what.targets == asked.what.targets);
  CHECK(again->what.options == asked.what.options);
  CHECK(again->overrides.strict == asked.overrides.strict);
  CHECK(again->wanted.builds);
  CHECK(again->wanted.import_sources);
  CHECK_FALSE(again->wanted.track);
  CHECK_FALSE(again->wanted.accept_needs);
  CHECK(again->wanted.quiet);
  CHECK(again->wanted.snapshot_file == asked.wanted.snapshot_file + ".again");

  SECTION("not in the place of another one") {
    const auto other = request_again({asked.wanted.snapshot_file, std::string(64, 'b')});
    REQUIRE_FALSE(other);
    CHECK(other.error().reason == "no-request");
  }
  SECTION("nor of a file that no load wrote") {
    const auto other = request_again({directory / "2", std::string(64, 'a')});
    REQUIRE_FALSE(other);
    CHECK(other.error().reason == "no-request");
  }
  SECTION("nor when what was kept is damaged") {
    directory.write("1.request", "no map");
    CHECK_FALSE(request_again({asked.wanted.snapshot_file, std::string(64, 'a')}));
  }
}

}  // namespace sluice::loader
