#include "tests/model/snapshot_heap.h"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace sluice::search {

namespace {

constexpr std::size_t kRegion = std::size_t{64} << 20;
constexpr std::size_t kUnit = 16;

// Lies at the region's start, so that it is saved with the rest.
struct Head {
  std::size_t used;
  void* free_[40];  // by the power of two of a block's size
};

// Before each block; keeps what follows aligned.
struct alignas(kUnit) BlockHead {
  std::size_t power;
};

bool inside = false;
char* region = nullptr;

Head& head() { return *reinterpret_cast<Head*>(region); }

void* take(std::size_t size) {
  const std::size_t power = static_cast<std::size_t>(std::bit_width(std::max(size, kUnit) - 1));
  if (void* block = head().free_[power]) {
    std::memcpy(&head().free_[power], block, sizeof(void*));
    return block;
  }
  const std::size_t whole = sizeof(BlockHead) + (std::size_t{1} << power);
  if (head().used + whole > kRegion) {
    std::fputs("the model's heap is full\n", stderr);
    std::abort();
  }
  char* at = region + head().used;
  head().used += whole;
  reinterpret_cast<BlockHead*>(at)->power = power;
  return at + sizeof(BlockHead);
}

void give_back(void* block) {
  const std::size_t power = (reinterpret_cast<BlockHead*>(block) - 1)->power;
  std::memcpy(block, &head().free_[power], sizeof(void*));
  head().free_[power] = block;
}

bool is_ours(const void* block) {
  const auto at = reinterpret_cast<std::uintptr_t>(block),
             first = reinterpret_cast<std::uintptr_t>(region);
  return region != nullptr && at >= first && at < first + kRegion;
}

}  // namespace

SnapshotHeap::Inside::Inside() : before_(inside) { inside = true; }
SnapshotHeap::Inside::~Inside() { inside = before_; }
SnapshotHeap::Outside::Outside() : before_(inside) { inside = false; }
SnapshotHeap::Outside::~Outside() { inside = before_; }

void SnapshotHeap::clear() {
  if (region == nullptr) {
    void* mapped = ::mmap(nullptr, kRegion, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    region = static_cast<char*>(mapped);
  }
  head() = Head{};
  head().used = (sizeof(Head) + kUnit - 1) / kUnit * kUnit;
}

SnapshotHeap::Snapshot SnapshotHeap::save() {
  const Outside outside;
  Snapshot snapshot;
  snapshot.size_ = head().used;
  snapshot.bytes_.reset(new char[snapshot.size_]);
  std::memcpy(snapshot.bytes_.get(), region, snapshot.size_);
  return snapshot;
}

void SnapshotHeap::restore(const Snapshot& snapshot) {
  std::memcpy(region, snapshot.bytes_.get(), snapshot.size_);
}

// For the operators below.
void* allocate(std::size_t size) {
  if (inside) return take(size);
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}

void release(void* block) {
  if (block == nullptr) return;
  if (is_ours(block)) return give_back(block);
  std::free(block);
}

}  // namespace sluice::search

void* operator new(std::size_t size) { return sluice::search::allocate(size); }
void* operator new[](std::size_t size) { return sluice::search::allocate(size); }
void operator delete(void* block) noexcept { sluice::search::release(block); }
void operator delete[](void* block) noexcept { sluice::search::release(block); }
void operator delete(void* block, std::size_t) noexcept { sluice::search::release(block); }
void operator delete[](void* block, std::size_t) noexcept { sluice::search::release(block); }
