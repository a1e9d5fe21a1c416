#include "wire/zap.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "tests/support/test_directory.h"

using namespace sluice;
using namespace sluice::wire;

TEST_CASE("who is to be refused is refused; start-up proves it (records.md R61)") {
  const TestDirectory owned;
  const std::string& directory = owned.str();
  {
    Context context;
    Reactor reactor;
    SECTION("with the handler") {
      auto handler = ZapHandler::create(context, reactor);
      REQUIRE(handler.has_value());
      CHECK(prove_enforcement(context, reactor, directory).has_value());
      CHECK((*handler)->refused() >= 1);
      // One for each context.
      CHECK_FALSE(ZapHandler::create(context, reactor).has_value());
    }
    SECTION("without it nothing is proven") {
      const auto proven = prove_enforcement(context, reactor, directory);
      REQUIRE_FALSE(proven.has_value());
      CHECK(proven.error().reason == "no-authentication");
    }
    SECTION("where no socket can be made") {
      auto handler = ZapHandler::create(context, reactor);
      CHECK_FALSE(prove_enforcement(context, reactor, directory + "/absent").has_value());
    }
  }
  CHECK(std::filesystem::is_empty(directory));  // the proof leaves nothing
}
