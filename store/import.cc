// Directories from disk into Directory messages: one walk that looks at every
// entry, then the files are read and hashed by several threads, then the messages are
// made from the leaves up.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "store/directory.h"
#include "store/fs.h"

namespace sluice::store {

namespace {

// Below this a thread costs more than it brings.
constexpr std::size_t kFewFiles = 48;
constexpr std::int64_t kFewBytes = std::int64_t{4} << 20;

// casd records whole microseconds.
Timestamp timestamp(const struct stat& info) {
  return {info.st_mtim.tv_sec, static_cast<std::int32_t>(info.st_mtim.tv_nsec / 1000 * 1000)};
}

struct Folder {
  Directory message;
  std::vector<std::unique_ptr<Folder>> children;  // as message.directories
};

struct FileTask {
  Folder* folder;
  std::size_t index;  // in folder->message.files
  std::string path;
};

class Importer {
 public:
  // `cas` null: only hashes.
  Importer(Cas* cas, const ImportOptions& options) : cas_(cas), options_(options) {}

  Result<Digest> run(const std::string& path) {
    shown_ = options_.shown.value_or(path);
    auto root = fs::open_directory(path, true);
    if (!root) {
      if (root.error().reason == "enoent") return fail("virtual-fs", "not-found", path + ": no such directory");
      return forward(root);
    }
    root_ = std::move(*root);
    Folder top;
    if (auto walked = walk(root_.get(), "", top, 0); !walked) return forward(walked);
    if (auto hashed = hash_files(); !hashed) return forward(hashed);
    return finish(top);
  }

 private:
  std::string where(const std::string& relative) const { return relative.empty() ? shown_ : shown_ + "/" + relative; }

  Status walk(int directory, const std::string& relative, Folder& folder, unsigned depth) {
    if (depth > kMaxDepth) {
      return fail("virtual-fs", "too-deep", fmt::format("{}: more than {} directories deep", where(relative), kMaxDepth));
    }
    if (options_.mtime) {
      struct stat info {};
      if (::fstat(directory, &info) != 0) return fail_errno(errno, where(relative));
      folder.message.mtime = timestamp(info);
    }
    auto names = fs::list(directory);
    if (!names) {
      names.error().message = where(relative) + ": " + names.error().message;
      return forward(names);
    }
    for (const auto& [name, type] : *names) {
      std::string path = relative.empty() ? name : relative + "/" + name;
      if (options_.filter && !options_.filter(path)) continue;
      if (!fs::valid_utf8(name)) {
        return fail("virtual-fs", "bad-name", fs::escaped(where(path)) + ": the name is not UTF-8");
      }
      struct stat info {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, where(path));
      if (S_ISREG(info.st_mode)) {
        FileNode file;
        file.name = name;
        file.executable = (info.st_mode & S_IXUSR) != 0;
        if (options_.mtime) file.mtime = timestamp(info);
        bytes_ += info.st_size;
        tasks_.push_back({&folder, folder.message.files.size(), std::move(path)});
        folder.message.files.push_back(std::move(file));
      } else if (S_ISDIR(info.st_mode)) {
        UniqueFd child(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!child) return fail_errno(errno, where(path));
        folder.message.directories.push_back({name, {}});
        folder.children.push_back(std::make_unique<Folder>());
        if (auto walked = walk(child.get(), path, *folder.children.back(), depth + 1); !walked) return walked;
      } else if (S_ISLNK(info.st_mode)) {
        auto target = fs::read_link(directory, name);
        if (!target) return forward(target);
        if (!fs::valid_utf8(*target)) {
          return fail("virtual-fs", "bad-name", fmt::format("{}: the link's target is not UTF-8: {}", fs::escaped(where(path)), fs::escaped(*target)));
        }
        folder.message.symlinks.push_back({name, std::move(*target)});
      } else if (options_.skipped != nullptr) {
        options_.skipped->push_back(std::move(path));
      }
    }
    return {};
  }

  Status hash_one(const FileTask& task) {
    // O_NONBLOCK: should it have become a FIFO by now, this doesn't hang.
    UniqueFd fd(fs::open_beneath(root_.get(), task.path, O_RDONLY | O_NONBLOCK));
    if (!fd) return fail_errno(errno, where(task.path));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return fail("virtual-fs", "changed", where(task.path) + ": changed while it was read");
    }
    // No link on the way to it: open_beneath() saw to that.
    auto digest = cas_ == nullptr      ? digest_of_fd(fd.get())
                  : options_.consume ? cas_->take(root_.get(), task.path, fd.get())
                                     : cas_->add_fd(fd.get());
    if (!digest) {
      digest.error().message = where(task.path) + ": " + digest.error().message;
      return forward(digest);
    }
    task.folder->message.files[task.index].digest = std::move(*digest);
    return {};
  }

  Status hash_files() {
    unsigned threads = options_.threads;
    if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    if (tasks_.size() < kFewFiles && bytes_ < kFewBytes) threads = 1;
    threads = static_cast<unsigned>(std::min<std::size_t>(threads, tasks_.size()));
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    Status first_error;
    std::size_t error_at = tasks_.size();
    const auto work = [&] {
      while (true) {
        const std::size_t i = next.fetch_add(1);
        if (i >= tasks_.size()) return;
        auto done = hash_one(tasks_[i]);
        if (done) continue;
        // The first in the tree's order, so that the message is the same each time.
        const std::lock_guard lock(mutex);
        if (i < error_at) {
          error_at = i;
          first_error = std::move(done);
        }
        next.store(tasks_.size());
        return;
      }
    };
    std::vector<std::thread> pool;
    for (unsigned i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
    for (std::thread& thread : pool) thread.join();
    return first_error;
  }

  Result<Digest> finish(Folder& folder) {
    for (std::size_t i = 0; i < folder.children.size(); ++i) {
      auto digest = finish(*folder.children[i]);
      if (!digest) return digest;
      folder.message.directories[i].digest = std::move(*digest);
    }
    const std::string bytes = encode_directory(folder.message);
    if (cas_ != nullptr) return cas_->add(bytes);
    return digest_of(bytes);
  }

  Cas* cas_;
  const ImportOptions& options_;
  std::string shown_;
  UniqueFd root_;
  std::vector<FileTask> tasks_;
  std::int64_t bytes_ = 0;
};

Result<Digest> file_as_tree(Cas* cas, const std::string& path, std::string_view name) {
  if (!valid_entry_name(name) || !fs::valid_utf8(name)) {
    return fail("virtual-fs", "bad-name", fmt::format("'{}' can't be a file's name", name));
  }
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(errno, path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail("virtual-fs", "not-a-file", path + ": not a regular file");
  }
  auto digest = cas != nullptr ? cas->add_fd(fd.get()) : digest_of_fd(fd.get());
  if (!digest) return digest;
  Directory directory;
  directory.files.push_back({std::string(name), std::move(*digest), ::access(path.c_str(), X_OK) == 0, std::nullopt});
  const std::string bytes = encode_directory(directory);
  if (cas != nullptr) return cas->add(bytes);
  return digest_of(bytes);
}

}  // namespace

Result<Digest> import_tree(Cas& cas, const std::string& path, const ImportOptions& options) {
  return Importer(&cas, options).run(path);
}

Result<Digest> hash_tree(const std::string& path, const ImportOptions& options) {
  return Importer(nullptr, options).run(path);
}

Result<Digest> import_file_as_tree(Cas& cas, const std::string& path, std::string_view name) {
  return file_as_tree(&cas, path, name);
}

Result<Digest> hash_file_as_tree(const std::string& path, std::string_view name) {
  return file_as_tree(nullptr, path, name);
}

}  // namespace sluice::store
