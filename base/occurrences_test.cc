#include "base/occurrences.h"

#include <catch2/catch.hpp>

namespace sluice {
namespace {

TEST_CASE("What happens over and over is said ever more rarely, by name") {
  Occurrences occurrences;
  std::uint64_t said = 0;
  for (int i = 0; i < 1000; ++i) said += occurrences.note("eve") != 0 ? 1 : 0;
  CHECK(said == 10);
  CHECK(occurrences.note("ann") == 1);
  // Names that nobody can count cost no memory.
  said = 0;
  for (std::size_t i = 0; i < 10 * Occurrences::kMostNames; ++i)
    said += occurrences.note("n" + std::to_string(i)) != 0 ? 1 : 0;
  CHECK(said < Occurrences::kMostNames + 20);
}

}  // namespace
}  // namespace sluice
