// Workers are a few threads that work on many files, while the caller goes on finding them.
// Internal to store/.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "base/threads.h"

namespace sluice::store {

// The caller's thread works too, when much is waiting and in finish(). Little work it does alone,
// as it is added, since a thread costs more than that brings. One thread calls.
class Workers {
 public:
  // `threads`: 0 for as many as there are processors, at most 8, and fewer where the system refuses
  // them. `few`: the number of files that are done without a second thread, unless they are large.
  explicit Workers(unsigned threads = 0, std::size_t few = 48);
  // Drops what is waiting.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // The most files and bytes of a part of a folder, which one thread does at a time: two that write
  // into one folder wait for each other.
  static constexpr std::size_t kFiles = 128;
  static constexpr std::int64_t kBytes = std::int64_t{4} << 20;

  // Adds `work` on `files` files of `bytes` bytes in all. What is much starts first, so that it
  // isn't what the others wait for at the end.
  void add(std::size_t files, std::int64_t bytes, std::function<Status()> work);
  // Ends the work by an error, from any thread; the first one counts.
  void fail(tl::unexpected<Error> error);
  // Whether there was an error: nothing more need be added.
  bool failed() const;
  // Waits for everything that was added. Of all that failed, gives the error of what was added
  // first.
  Status finish();

 private:
  struct Item {
    std::uint64_t order = 0;
    std::function<Status()> work;
  };
  void run(Item item);
  void serve();

  unsigned threads_;
  std::size_t few_;
  std::size_t most_waiting_;
  std::size_t files_ = 0;
  std::int64_t bytes_ = 0;
  std::uint64_t added_ = 0;
  Helpers pool_;
  mutable std::mutex mutex_;  // of all below
  std::condition_variable more_;
  std::deque<Item> waiting_;
  bool ended_ = false;
  Status first_error_;
  std::uint64_t error_at_ = UINT64_MAX;
};

// Cuts a folder's files into parts for Workers. `size(i)`: the bytes of file i; `add(begin, end,
// bytes)`.
template <typename Size, typename Add>
void in_parts(std::size_t count, const Size& size, const Add& add) {
  std::size_t begin = 0;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t own = size(i);
    // A large file is a part of its own.
    if (i > begin && (i - begin == Workers::kFiles || bytes + own > Workers::kBytes)) {
      add(begin, i, bytes);
      begin = i;
      bytes = 0;
    }
    bytes += own;
  }
  if (begin < count) add(begin, count, bytes);
}

}  // namespace sluice::store
