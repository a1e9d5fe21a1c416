// The import makes Directory messages of directories on disk: one walk looks at every entry (or
// takes what was looked at before), while several threads read and hash the files of the folders
// that it has seen; then the messages are made from the leaves up.
#include <cerrno>
#include <memory>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/workers.h"

namespace sluice::store {

namespace {

// casd records whole microseconds.
Timestamp timestamp(std::int64_t seconds, std::int64_t nanos) {
  return {seconds, static_cast<std::int32_t>(nanos / 1000 * 1000)};
}
Timestamp timestamp(const struct stat& info) {
  return timestamp(info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}
Timestamp timestamp(const FileStamp& stamp) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t nanos = (stamp.mtime_ns % kSecond + kSecond) % kSecond;
  return timestamp((stamp.mtime_ns - nanos) / kSecond, nanos);
}

struct Folder {
  Directory message;
  const LookedFolder* looked = nullptr;           // null without a known tree
  std::vector<std::unique_ptr<Folder>> children;  // as message.directories
};

// A directory of the tree, opened when something in it is: of a known tree few are. Several threads
// use it.
class Place {
 public:
  explicit Place(UniqueFd fd) : fd_(std::move(fd)) {}
  Place(std::shared_ptr<Place> parent, std::string name)
      : parent_(std::move(parent)), name_(std::move(name)) {}

  // The directory's descriptor; -1 with errno when it can't be opened.
  int fd() {
    const std::lock_guard lock(mutex_);
    if (!fd_) {
      const int parent = parent_->fd();
      if (parent < 0) return -1;
      fd_.reset(::openat(parent, name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    return fd_.get();
  }

 private:
  std::mutex mutex_;
  UniqueFd fd_;
  std::shared_ptr<Place> parent_;
  std::string name_;
};

class Importer {
 public:
  // Without `cas` it only hashes.
  Importer(Cas* cas, const ImportOptions& options)
      : cas_(cas), options_(options), workers_(options.threads) {}

  Result<Digest> run(const std::string& path) {
    shown_ = options_.shown.value_or(path);
    auto root = fs::open_directory(path, true);
    if (!root) {
      if (root.error().reason == "enoent")
        return fail("virtual-fs", "not-found", path + ": no such directory");
      return forward(root);
    }
    if (options_.known != nullptr) {
      const LookedTree& looked = options_.known->looked();
      top_.looked = &looked.top;
      if (options_.mtime) top_.message.mtime = timestamp(looked.stamp);
    }
    CHECK(walk(std::make_shared<Place>(std::move(*root)), "", top_, 0));
    CHECK(workers_.finish());
    return finish("", top_);
  }

 private:
  using SharedPlace = std::shared_ptr<Place>;

  std::string where(const std::string& relative) const {
    return relative.empty() ? shown_ : shown_ + "/" + relative;
  }
  static std::string path_of(const std::string& relative, const std::string& name) {
    return relative.empty() ? name : relative + "/" + name;
  }

  Status walk(const SharedPlace& place, const std::string& relative, Folder& folder,
              unsigned depth) {
    if (depth > kMaxDepth) {
      return fail("virtual-fs", "too-deep",
                  fmt::format("{}: more than {} directories deep", where(relative), kMaxDepth));
    }
    std::vector<std::int64_t> sizes;
    CHECK(folder.looked != nullptr ? take_looks(place, relative, folder, sizes)
                                   : look(place, relative, folder, sizes));
    // The threads write into `message.files`, so all files are in it before the first is given
    // away.
    if (folder.looked != nullptr && !sizes.empty())
      options_.known->find(relative, *folder.looked, folder.message.files);
    in_parts(
        sizes.size(), [&](std::size_t i) { return sizes[i]; },
        [&](std::size_t begin, std::size_t end, std::int64_t bytes) {
          workers_.add(end - begin, bytes,
                       [this, place, relative, &folder, begin, end]() -> Status {
                         for (std::size_t i = begin; i < end; ++i) {
                           CHECK(hash_one(*place, relative, folder.message.files[i]));
                         }
                         return {};
                       });
        });
    for (std::size_t i = 0; i < folder.message.directories.size(); ++i) {
      if (workers_.failed()) return {};
      const std::string& name = folder.message.directories[i].name;
      CHECK(walk(std::make_shared<Place>(place, name), path_of(relative, name), *folder.children[i],
                 depth + 1));
    }
    return {};
  }

  Status look(const SharedPlace& place, const std::string& relative, Folder& folder,
              std::vector<std::int64_t>& sizes) {
    const int fd = place->fd();
    struct stat info {};
    if (fd < 0 || ::fstat(fd, &info) != 0) return fail_errno(errno, where(relative));
    if (options_.mtime) folder.message.mtime = timestamp(info);
    auto names = fs::list(fd);
    if (!names) {
      names.error().message = where(relative) + ": " + names.error().message;
      return forward(names);
    }
    for (const auto& [name, type] : *names) {
      if (options_.filter && !options_.filter(path_of(relative, name))) continue;
      if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, where(path_of(relative, name)));
      if (S_ISREG(info.st_mode)) sizes.push_back(info.st_size);
      CHECK(enter(*place, relative, name, info.st_mode, timestamp(info), folder));
    }
    return {};
  }

  Status take_looks(const SharedPlace& place, const std::string& relative, Folder& folder,
                    std::vector<std::int64_t>& sizes) {
    for (const LookedEntry& entry : folder.looked->entries) {
      if (options_.filter && !options_.filter(path_of(relative, entry.name))) continue;
      if (S_ISREG(entry.stamp.mode)) sizes.push_back(static_cast<std::int64_t>(entry.stamp.size));
      const Timestamp mtime = timestamp(entry.stamp);
      CHECK(enter(*place, relative, entry.name, entry.stamp.mode, mtime, folder));
      if (entry.folder != nullptr) {
        folder.children.back()->looked = entry.folder.get();
        if (options_.mtime) folder.children.back()->message.mtime = mtime;
      }
    }
    return {};
  }

  Status enter(Place& place, const std::string& relative, const std::string& name, mode_t mode,
               const Timestamp& mtime, Folder& folder) {
    if (!fs::valid_utf8(name)) {
      return fail("virtual-fs", "bad-name",
                  fs::escaped(where(path_of(relative, name))) + ": the name is not UTF-8");
    }
    if (S_ISREG(mode)) {
      FileNode& file = folder.message.files.emplace_back();
      file.name = name;
      file.executable = (mode & S_IXUSR) != 0;
      if (options_.mtime) file.mtime = mtime;
    } else if (S_ISDIR(mode)) {
      folder.message.directories.push_back({name, {}});
      folder.children.push_back(std::make_unique<Folder>());
    } else if (S_ISLNK(mode)) {
      const int fd = place.fd();
      if (fd < 0) return fail_errno(errno, where(relative));
      auto target = TRY(fs::read_link(fd, name));
      if (!fs::valid_utf8(target)) {
        return fail("virtual-fs", "bad-name",
                    fmt::format("{}: the link's target is not UTF-8: {}",
                                fs::escaped(where(path_of(relative, name))), fs::escaped(target)));
      }
      folder.message.symlinks.push_back({name, std::move(target)});
    } else if (options_.skipped != nullptr) {
      options_.skipped->push_back(path_of(relative, name));
    }
    return {};
  }

  bool present(const Digest& digest) const {
    return cas_ == nullptr || (options_.present ? options_.present(digest) : cas_->touch(digest));
  }

  Status hash_one(Place& place, const std::string& relative, FileNode& file) {
    if (!file.digest.hash.empty() && present(file.digest)) return {};
    const int directory = place.fd();
    if (directory < 0) return fail_errno(errno, where(relative));
    // O_NONBLOCK keeps this from hanging, should the file have become a FIFO by now.
    UniqueFd fd(
        ::openat(directory, file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return fail_errno(errno, where(path_of(relative, file.name)));
    struct stat now {};
    if (::fstat(fd.get(), &now) != 0 || !S_ISREG(now.st_mode)) {
      return fail("virtual-fs", "changed",
                  where(path_of(relative, file.name)) + ": changed while it was read");
    }
    auto digest = cas_ == nullptr    ? digest_of_fd(fd.get())
                  : options_.consume ? cas_->take(directory, file.name, fd.get())
                                     : cas_->add_fd(fd.get());
    if (!digest) {
      digest.error().message = where(path_of(relative, file.name)) + ": " + digest.error().message;
      return forward(digest);
    }
    file.digest = std::move(*digest);
    return {};
  }

  Result<Digest> finish(const std::string& relative, Folder& folder) {
    for (std::size_t i = 0; i < folder.children.size(); ++i) {
      DirectoryNode& node = folder.message.directories[i];
      node.digest = TRY(finish(path_of(relative, node.name), *folder.children[i]));
    }
    if (folder.looked != nullptr)
      options_.known->keep(relative, *folder.looked, folder.message.files);
    const std::string bytes = encode_directory(folder.message);
    if (cas_ != nullptr) return cas_->add(bytes);
    return digest_of(bytes);
  }

  Cas* cas_;
  const ImportOptions& options_;
  std::string shown_;
  Folder top_;
  Workers workers_;  // comes last, and so goes before what its threads write to
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
  auto digest = TRY(cas != nullptr ? cas->add_fd(fd.get()) : digest_of_fd(fd.get()));
  Directory directory;
  directory.files.push_back(
      {std::string(name), std::move(digest), ::access(path.c_str(), X_OK) == 0, std::nullopt});
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
