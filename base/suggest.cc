#include "base/suggest.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace sluice {

std::size_t edit_distance(std::string_view left, std::string_view right, std::size_t most) {
  const std::string a = lower(left);
  const std::string b = lower(right);
  if (a.size() > b.size() + most || b.size() > a.size() + most) return most + 1;
  // Three rows of the table are enough, as a swap looks back by two.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    std::size_t least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    if (least > most) return most + 1;
  }
  return std::min(row[b.size()], most + 1);
}

std::vector<std::string> nearest(std::string_view typed, const std::vector<std::string>& known) {
  constexpr std::size_t kMost = 3;
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& word : known) {
    const std::size_t most = std::max(typed.size(), word.size()) / 3;
    std::size_t distance = edit_distance(typed, word, most);
    // A beginning is as near as one letter that is wrong.
    const bool begins = typed.size() >= 2 && word.starts_with(typed);
    if (distance > most && !begins) continue;
    if (begins) distance = std::min<std::size_t>(distance, 1);
    near.emplace_back(distance, word);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  std::vector<std::string> words;
  for (auto& [distance, word] : near) {
    if (distance > near.front().first + 1 || words.size() == kMost) break;
    words.push_back(std::move(word));
  }
  return words;
}

std::string did_you_mean(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string text = "Did you mean ";
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += "'" + words[i] + "'";
  }
  return text + "?";
}

}  // namespace sluice
