#include "store/look.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/threads.h"
#include "base/try.h"
#include "store/fs.h"

namespace sluice::store {

namespace {

// The number of folders that wait before a second thread is worth it.
constexpr std::size_t kEnough = 16;

template <typename Number>
void put(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put(std::string& out, const FileStamp& stamp) {
  for (const std::uint64_t part :
       {stamp.device, stamp.inode, stamp.size, static_cast<std::uint64_t>(stamp.mtime_ns),
        static_cast<std::uint64_t>(stamp.ctime_ns), std::uint64_t{stamp.mode}}) {
    put(out, part);
  }
}

void digests_of(const LookedFolder& folder, Sha256& sum) {
  sum.update(folder.sha256);
  for (const LookedEntry& entry : folder.entries) {
    if (entry.folder != nullptr) digests_of(*entry.folder, sum);
  }
}

class Looking {
 public:
  explicit Looking(unsigned threads)
      : threads_(threads != 0 ? threads : std::clamp(std::thread::hardware_concurrency(), 1u, 8u)) {
  }

  Status run(const std::string& path, LookedTree& tree) {
    top_ = &tree.top;
    waiting_.push_back({path, top_});
    Helpers helpers;
    {
      std::unique_lock lock(mutex_);
      while (!waiting_.empty() && waiting_.size() < kEnough) look_at_next(lock);
      if (!waiting_.empty()) {
        lock.unlock();
        helpers.start(threads_, [this] { serve(); });
      }
    }
    serve();
    helpers.join();
    tree.files = files_;
    tree.settles_ns = std::max(settles_ns_, tree.stamp.settles_ns());
    return std::move(done_);
  }

 private:
  struct Waiting {
    std::string path;
    LookedFolder* folder;
  };
  struct Seen {
    std::vector<Waiting> below;
    std::size_t files = 0;
    std::int64_t settles_ns = 0;
  };

  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      more_.wait(lock, [this] { return !waiting_.empty() || active_ == 0; });
      if (waiting_.empty()) return;
      look_at_next(lock);
    }
  }

  // Called with the lock, which it holds again when it returns.
  void look_at_next(std::unique_lock<std::mutex>& lock) {
    const Waiting next = std::move(waiting_.back());
    waiting_.pop_back();
    ++active_;
    lock.unlock();
    Seen seen;
    Status looked = look(next, seen);
    lock.lock();
    --active_;
    files_ += seen.files;
    settles_ns_ = std::max(settles_ns_, seen.settles_ns);
    if (!looked && done_) done_ = std::move(looked);
    if (done_) {
      std::move(seen.below.begin(), seen.below.end(), std::back_inserter(waiting_));
    } else {
      waiting_.clear();
    }
    if (active_ == 0 || !waiting_.empty()) more_.notify_all();
  }

  // Looks at one folder. It is opened by its path and not by its parent, which would have to be
  // kept open for as long.
  Status look(const Waiting& at, Seen& seen) const {
    auto fd = TRY(fs::open_directory(at.path, at.folder == top_));
    auto names = TRY(fs::list(fd.get()));
    std::string all;
    at.folder->entries.reserve(names.size());
    for (auto& [name, type] : names) {
      struct stat info {};
      if (::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, at.path + "/" + name);
      LookedEntry entry{std::move(name), FileStamp::of(info), nullptr};
      if (!entry.stamp.exact()) return fail_errno(EOVERFLOW, at.path + "/" + entry.name);
      put(all, entry.name.size());
      all += entry.name;
      put(all, entry.stamp);
      seen.settles_ns = std::max(seen.settles_ns, entry.stamp.settles_ns());
      if (S_ISREG(info.st_mode)) ++seen.files;
      if (S_ISDIR(info.st_mode)) {
        entry.folder = std::make_unique<LookedFolder>();
        seen.below.push_back({at.path + "/" + entry.name, entry.folder.get()});
      }
      at.folder->entries.push_back(std::move(entry));
    }
    at.folder->sha256 = sha256_hex(all);
    return {};
  }

  const unsigned threads_;
  LookedFolder* top_ = nullptr;
  std::mutex mutex_;  // of all below
  std::condition_variable more_;
  std::vector<Waiting> waiting_;
  std::size_t active_ = 0;
  std::size_t files_ = 0;
  std::int64_t settles_ns_ = 0;
  Status done_;
};

}  // namespace

std::string LookedTree::sha256() const {
  std::string own;
  put(own, stamp);
  Sha256 sum;
  sum.update(own);
  digests_of(top, sum);
  return sum.hex();
}

Result<LookedTree> look_at(const std::string& path, unsigned threads) {
  LookedTree tree;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
  tree.stamp = FileStamp::of(info);
  CHECK(Looking(threads).run(path, tree));
  return tree;
}

}  // namespace sluice::store
