#include "loader/python/list_sort.h"

#include <algorithm>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

namespace sluice::loader {
namespace {

TEST_CASE("the sort of Python's lists is a stable sort") {
  std::mt19937 random(1);
  for (const std::size_t count : {0u, 1u, 2u, 3u, 31u, 63u, 64u, 65u, 200u, 1000u, 5000u}) {
    for (const int values : {2, 10, 100'000}) {
      std::vector<std::pair<int, std::size_t>> items;
      for (std::size_t i = 0; i < count; ++i)
        items.emplace_back(static_cast<int>(random() % static_cast<unsigned>(values)), i);
      // Runs, which is where merging and galloping are.
      for (std::size_t i = 0; i + 50 < count; i += 70)
        std::sort(items.begin() + static_cast<long>(i), items.begin() + static_cast<long>(i) + 50);
      for (std::size_t i = 0; i < count; ++i) items[i].second = i;
      auto expected = items;
      const auto less = [](const auto& a, const auto& b) { return a.first < b.first; };
      std::stable_sort(expected.begin(), expected.end(), less);
      list_sort(items, less);
      REQUIRE(items == expected);
    }
  }
  // With an order that is none sorting ends, and loses nothing.
  std::vector<int> numbers(700);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i);
  list_sort(numbers, [&](int, int) { return random() % 2 == 0; });
  std::sort(numbers.begin(), numbers.end());
  for (std::size_t i = 0; i < numbers.size(); ++i) REQUIRE(numbers[i] == static_cast<int>(i));
}

}  // namespace
}  // namespace sluice::loader
