// An arena: memory for trees, allocated in a row and freed all at once. What lives in it is
// trivially destructible and never outlives it. An arena is for one thread at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::yaml {

// The size of the blocks in which trees of elements lie together, in bytes. A block is freed when
// none of its trees is of use any more, and the loader has blocks of this size go back to the
// system at once.
constexpr std::size_t kTreesTogether = std::size_t{128} << 10;

class Arena {
 public:
  Arena() = default;
  explicit Arena(std::size_t first_block) : first_block_(first_block) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (current_ == nullptr || start + size > capacity_) {
      grow(size);
      start = 0;
    }
    used_ = start + size;
    return current_ + start;
  }

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }

  template <typename T>
  T* make_array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);
    return count == 0 ? nullptr : static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* memory = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(memory, text.data(), text.size());
    return {memory, text.size()};
  }

  // Memory taken from the system so far, blocks that aren't full included.
  std::size_t bytes() const { return bytes_; }

  // Forgets everything but keeps the largest block, for scratch use in a loop. In builds with
  // assertions or the address sanitizer, a pointer that was kept doesn't find what was there.
  void reset() {
#ifdef __SANITIZE_ADDRESS__
    blocks_.clear();
    current_ = nullptr;
    capacity_ = 0;
#elif !defined(NDEBUG)
    if (current_ != nullptr) std::memset(current_, 0xdd, used_);
#endif
    if (blocks_.size() > 1) {
      std::swap(blocks_.front(), blocks_.back());
      blocks_.resize(1);
    }
    used_ = 0;
    bytes_ = blocks_.empty() ? 0 : blocks_.front().size;
    if (!blocks_.empty()) {
      current_ = blocks_.front().memory.get();
      capacity_ = blocks_.front().size;
    }
  }

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    std::size_t size = 0;
  };

  void grow(std::size_t at_least) {
    std::size_t size = blocks_.empty() ? first_block_ : blocks_.back().size * 2;
    if (size > kLargestBlock) size = kLargestBlock;
    if (size < at_least) size = at_least;
    blocks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
    current_ = blocks_.back().memory.get();
    capacity_ = size;
    used_ = 0;
    bytes_ += size;
  }

  static constexpr std::size_t kLargestBlock = 1024 * 1024;

  std::size_t first_block_ = 16 * 1024;
  std::vector<Block> blocks_;
  char* current_ = nullptr;
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::yaml
