// A short name for a state: equal states have equal digests, and of a million different ones no two
// the same. For tests and searches, not for what somebody might forge.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::scheduler {

class StateDigest {
 public:
  // Whole numbers, truth values, enumerators.
  template <typename T>
  requires(std::integral<T> || std::is_enum_v<T>) void add(T value) {
    mix(static_cast<std::uint64_t>(value));
  }
  void add(std::string_view text) {
    mix(text.size());
    for (const char byte : text) mix(static_cast<unsigned char>(byte));
  }
  // How many there are, then each.
  template <typename Range>
  requires requires(const Range& range) {
    range.begin();
    range.size();
  } &&(!std::convertible_to<Range, std::string_view>)void add(const Range& range) {
    mix(range.size());
    for (const auto& each : range) add(each);
  }

  std::string str() const { return std::to_string(low_) + "-" + std::to_string(high_); }
  bool operator==(const StateDigest&) const = default;

 private:
  // Two sums in the manner of FNV-1a.
  void mix(std::uint64_t value) {
    low_ = (low_ ^ value) * 0x100000001b3u;
    high_ = (high_ ^ value) * 0x880355f21e6d1965u;
    high_ ^= high_ >> 29;
  }
  std::uint64_t low_ = 0xcbf29ce484222325u, high_ = 0x9e3779b97f4a7c15u;
};

}  // namespace sluice::scheduler
