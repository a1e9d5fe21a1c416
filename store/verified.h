// Verified knows which files and roots were seen to be what they should be, by this process and
// those that are forked from it: a session's jobs, so that what many of them stage is hashed once.
// Internal to store/.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace sluice::store {

// A set of numbers in memory that is shared with forked children, without locks. It forgets nothing
// and is never wrong about what it has but for a collision of 64 bits; when it is full, what comes
// later isn't kept. Where there is no memory for it, it keeps nothing.
class Verified {
 public:
  Verified();
  ~Verified();
  Verified(Verified&& other) noexcept;
  Verified& operator=(Verified&&) = delete;

  bool has(std::uint64_t key) const;
  void add(std::uint64_t key);

 private:
  std::atomic<std::uint64_t>* slots_ = nullptr;
};

std::uint64_t verified_key(std::uint64_t device, std::uint64_t inode, std::uint64_t size);
std::uint64_t verified_key(std::string_view name);

}  // namespace sluice::store
