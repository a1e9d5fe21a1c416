#include "store/verified.h"

#include <functional>
#include <utility>

#include <sys/mman.h>

namespace sluice::store {

namespace {

constexpr std::size_t kSlots = std::size_t{1} << 20;
// The number of slots that are looked at for one key.
constexpr std::size_t kProbes = 32;

// Mixes as splitmix64 does at its end: every bit of the key changes the slot.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

std::uint64_t verified_key(std::uint64_t device, std::uint64_t inode, std::uint64_t size) {
  return mixed(mixed(mixed(device + 1) + inode) + size) | 1;
}

std::uint64_t verified_key(std::string_view name) {
  return mixed(std::hash<std::string_view>{}(name)) | 1;
}

Verified::Verified() {
  void* memory = ::mmap(nullptr, kSlots * sizeof(*slots_), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  // The map's zeroes are atomics of value 0.
  if (memory != MAP_FAILED) slots_ = static_cast<std::atomic<std::uint64_t>*>(memory);
}

Verified::~Verified() {
  if (slots_ != nullptr) ::munmap(slots_, kSlots * sizeof(*slots_));
}

Verified::Verified(Verified&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}

bool Verified::has(std::uint64_t key) const {
  if (slots_ == nullptr) return false;
  for (std::size_t i = 0; i < kProbes; ++i) {
    const std::uint64_t found = slots_[((key >> 1) + i) % kSlots].load(std::memory_order_relaxed);
    if (found == key) return true;
    if (found == 0) return false;
  }
  return false;
}

void Verified::add(std::uint64_t key) {
  if (slots_ == nullptr) return;
  for (std::size_t i = 0; i < kProbes; ++i) {
    std::uint64_t found = 0;
    if (slots_[((key >> 1) + i) % kSlots].compare_exchange_strong(found, key,
                                                                  std::memory_order_relaxed) ||
        found == key)
      return;
  }
}

}  // namespace sluice::store
