#include "jobs/retry.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::jobs;
using std::chrono::milliseconds;

TEST_CASE("each try comes later than the one before, up to a minute and a quarter more") {
  CHECK(retry_delay(1, 0) == milliseconds(500));
  CHECK(retry_delay(2, 0) == milliseconds(1000));
  CHECK(retry_delay(3, 0) == milliseconds(2000));
  CHECK(retry_delay(3, 1) == milliseconds(2500));
  CHECK(retry_delay(50, 0) == std::chrono::minutes(1));
  CHECK(retry_delay(4000000000u, 1) == std::chrono::seconds(75));
}
