// What somebody may have meant who typed a word that isn't known.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// How many letters are to be put in, left out, replaced or swapped with their neighbour to make one
// word of the other; small and capital letters are the same. It is `most` + 1 where it is more than
// `most`. Letters are bytes.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t most);

// Those of `known` that are near to `typed`, the nearest first, at most three: with a third of the
// letters wrong at most, or with `typed` (two letters and more) as their beginning. None that is
// farther from it than another by more than one letter.
std::vector<std::string> nearest(std::string_view typed, const std::vector<std::string>& known);

// "Did you mean 'a'?", "Did you mean 'a', 'b' or 'c'?"; "" where there are no words.
std::string did_you_mean(const std::vector<std::string>& words);

}  // namespace sluice
