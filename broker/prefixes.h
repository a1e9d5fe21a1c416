// What subscribers want of live events and records, by the beginnings of topics (spec/records.md,
// R51), as far as it is held: passed on to publishers, and counted as wanted here.
//
// Whoever comes from elsewhere may have so many held, and those of a role together; what is beyond
// waits for room. What everybody needs counts for nobody and is always held, so that no subscriber
// can leave another without it; and each subscription of the session's own machine is, up to a
// number that only memory asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::broker {

// One thread. No sockets.
class Prefixes {
 public:
  // Topics of `log-from/` are counted apart from all others: a reader of logs has ever new ones.
  static constexpr std::size_t kMostOfKey = 256;    // of a key from elsewhere, of each of the two
  static constexpr std::size_t kMostOfRole = 4096;  // of all of a role
  static constexpr std::size_t kMostOfOwner = 65536;
  // That wait for room, of a key and of all; what is beyond is forgotten.
  static constexpr std::size_t kMostWaitOfKey = 1024;
  static constexpr std::size_t kMostWait = 65536;

  enum class Added { kHeld, kKnown, kWaits, kForgotten };
  // Somebody wants `prefix`, by the user id of his connection (wire::identity_of()). kHeld: it is
  // held from now on; kKnown: it was before.
  Added add(std::string_view prefix, std::string_view user_id);

  struct Removed {
    bool held = false;               // it was
    std::vector<std::string> taken;  // what has waited and is held from now on
  };
  // Nobody wants `prefix` any more.
  Removed remove(std::string_view prefix);

  bool wanted(std::string_view topic) const;
  bool empty() const { return held_.empty(); }

  // A finite number of them, which whoever shows a session needs.
  static bool essential(std::string_view prefix);

 private:
  // Who is counted, by kind (log-from or not): a key, and its role with all of it.
  using Payer = std::pair<bool, std::string>;
  static Payer payer(std::string_view prefix, std::string_view user_id);
  bool has_room(const Payer& payer) const;
  void hold(std::string_view prefix, const Payer& payer);
  using Waiting = std::map<Payer, std::deque<std::string>>;
  void take_up(Waiting::iterator queue, std::vector<std::string>& taken);
  void wait_no_more(std::map<std::string, Payer, std::less<>>::iterator waits);

  std::map<std::string, Payer, std::less<>> held_;
  std::map<Payer, std::size_t> of_key_, of_role_;
  // In the order in which they came; by prefix who wants it.
  Waiting waiting_;
  std::map<std::string, Payer, std::less<>> waits_for_;
};

}  // namespace sluice::broker
