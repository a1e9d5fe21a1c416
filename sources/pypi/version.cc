#include "sources/pypi/version.h"

#include <algorithm>

namespace sluice::sources::pypi {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_separator(char c) { return c == '-' || c == '_' || c == '.'; }

std::string plain(std::string_view digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? "0" : std::string(digits.substr(first));
}

std::strong_ordering compare_numbers(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() <=> b.size() : a.compare(b) <=> 0;
}

// Text is read from its beginning.
class Text {
 public:
  explicit Text(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  bool begins(std::string_view word) const { return rest_.substr(0, word.size()) == word; }
  bool take(std::string_view word) {
    if (!begins(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::string_view take_digits() {
    std::size_t size = 0;
    while (size < rest_.size() && is_digit(rest_[size])) ++size;
    return take(size);
  }
  std::string_view take_word() {
    std::size_t size = 0;
    while (size < rest_.size() &&
           (is_digit(rest_[size]) || (rest_[size] >= 'a' && rest_[size] <= 'z')))
      ++size;
    return take(size);
  }
  bool take_separator() {
    if (rest_.empty() || !is_separator(rest_.front())) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // A separator, one of the words, another separator and a number, of which only the word must be.
  // Gives the word's place in the list, or -1.
  template <std::size_t N>
  int take_part(const std::string_view (&words)[N], std::string& number) {
    const std::string_view before = rest_;
    take_separator();
    for (std::size_t i = 0; i < N; ++i) {
      if (!take(words[i])) continue;
      take_separator();
      number = plain(take_digits());
      return static_cast<int>(i);
    }
    rest_ = before;
    return -1;
  }
  char front(std::size_t at) const { return at < rest_.size() ? rest_[at] : '\0'; }

 private:
  std::string_view take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_;
};

}  // namespace

std::optional<Version> Version::parse(std::string_view given) {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  const std::size_t first = given.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return std::nullopt;
  std::string lower(given.substr(first, given.find_last_not_of(kSpace) - first + 1));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  Text text(lower);
  Version version;
  text.take("v");
  std::string_view digits = text.take_digits();
  if (digits.empty()) return std::nullopt;
  if (text.take("!")) {
    version.epoch_ = plain(digits);
    digits = text.take_digits();
    if (digits.empty()) return std::nullopt;
  }
  version.release_.push_back(plain(digits));
  while (text.front(0) == '.' && is_digit(text.front(1))) {
    text.take(".");
    version.release_.push_back(plain(text.take_digits()));
  }
  static constexpr std::string_view kPre[] = {"alpha",   "a",   "beta", "b",
                                              "preview", "pre", "c",    "rc"};
  static constexpr const char* kPreNames[] = {"a", "a", "b", "b", "rc", "rc", "rc", "rc"};
  static constexpr std::string_view kPost[] = {"post", "rev", "r"};
  static constexpr std::string_view kDev[] = {"dev"};
  std::string number;
  if (const int word = text.take_part(kPre, number); word >= 0)
    version.pre_ = {kPreNames[word], number};
  if (text.front(0) == '-' && is_digit(text.front(1))) {
    text.take("-");
    version.post_ = plain(text.take_digits());
  } else if (text.take_part(kPost, number) >= 0) {
    version.post_ = number;
  }
  if (text.take_part(kDev, number) >= 0) version.dev_ = number;
  if (text.take("+")) {
    do {
      const std::string_view word = text.take_word();
      if (word.empty()) return std::nullopt;
      const bool is_number = std::all_of(word.begin(), word.end(), is_digit);
      version.local_.push_back(is_number ? plain(word) : std::string(word));
    } while (text.take_separator());
  }
  if (!text.done()) return std::nullopt;
  return version;
}

std::string Version::str() const {
  std::string text = epoch_ == "0" ? "" : epoch_ + "!";
  for (std::size_t i = 0; i < release_.size(); ++i) text += (i > 0 ? "." : "") + release_[i];
  if (pre_) text += pre_->first + pre_->second;
  if (post_) text += ".post" + *post_;
  if (dev_) text += ".dev" + *dev_;
  for (std::size_t i = 0; i < local_.size(); ++i) text += (i > 0 ? "." : "+") + local_[i];
  return text;
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  if (const auto order = compare_numbers(epoch_, other.epoch_); order != 0) return order;
  // Zeros at the end say nothing.
  for (std::size_t i = 0; i < std::max(release_.size(), other.release_.size()); ++i) {
    const auto part = [&](const Version& of) -> std::string_view {
      return i < of.release_.size() ? std::string_view(of.release_[i]) : "0";
    };
    if (const auto order = compare_numbers(part(*this), part(other)); order != 0) return order;
  }
  // What is only ".dev" comes before all prereleases, and what is none of both after them.
  const auto rank = [](const Version& of) { return of.pre_ ? 1 : !of.post_ && of.dev_ ? 0 : 2; };
  if (const auto order = rank(*this) <=> rank(other); order != 0) return order;
  if (pre_ && other.pre_) {
    if (const int order = pre_->first.compare(other.pre_->first); order != 0) return order <=> 0;
    if (const auto order = compare_numbers(pre_->second, other.pre_->second); order != 0)
      return order;
  }
  if (post_.has_value() != other.post_.has_value())
    return post_.has_value() <=> other.post_.has_value();
  if (post_) {
    if (const auto order = compare_numbers(*post_, *other.post_); order != 0) return order;
  }
  if (dev_.has_value() != other.dev_.has_value())
    return other.dev_.has_value() <=> dev_.has_value();
  if (dev_) {
    if (const auto order = compare_numbers(*dev_, *other.dev_); order != 0) return order;
  }
  for (std::size_t i = 0; i < std::min(local_.size(), other.local_.size()); ++i) {
    const bool number = std::all_of(local_[i].begin(), local_[i].end(), is_digit);
    const bool others = std::all_of(other.local_[i].begin(), other.local_[i].end(), is_digit);
    if (number != others) return number <=> others;
    const auto order = number ? compare_numbers(local_[i], other.local_[i])
                              : local_[i].compare(other.local_[i]) <=> 0;
    if (order != 0) return order;
  }
  return local_.size() <=> other.local_.size();
}

std::optional<Version> version_of_sdist(std::string_view filename) {
  for (const std::string_view end : {".tar.gz", ".zip"}) {
    if (!filename.ends_with(end)) continue;
    filename.remove_suffix(end.size());
    const std::size_t dash = filename.rfind('-');
    if (dash == std::string_view::npos) return std::nullopt;
    return Version::parse(filename.substr(dash + 1));
  }
  return std::nullopt;
}

}  // namespace sluice::sources::pypi
