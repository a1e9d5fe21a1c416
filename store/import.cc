// Directories from disk into Directory messages: one walk that looks at every entry, while
// the files of the folders that it has seen are read and hashed by several threads; then the
// messages are made from the leaves up.
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "store/directory.h"
#include "store/fs.h"
#include "store/workers.h"

namespace sluice::store {

namespace {

// casd records whole microseconds.
Timestamp timestamp(const struct stat& info) {
  return {info.st_mtim.tv_sec, static_cast<std::int32_t>(info.st_mtim.tv_nsec / 1000 * 1000)};
}

struct Folder {
  Directory message;
  std::vector<std::unique_ptr<Folder>> children;  // as message.directories
};

class Importer {
 public:
  // `cas` null: only hashes.
  Importer(Cas* cas, const ImportOptions& options) : cas_(cas), options_(options), workers_(options.threads) {}

  Result<Digest> run(const std::string& path) {
    shown_ = options_.shown.value_or(path);
    auto root = fs::open_directory(path, true);
    if (!root) {
      if (root.error().reason == "enoent") return fail("virtual-fs", "not-found", path + ": no such directory");
      return forward(root);
    }
    if (auto walked = walk(std::make_shared<UniqueFd>(std::move(*root)), "", top_, 0); !walked) return forward(walked);
    if (auto hashed = workers_.finish(); !hashed) return forward(hashed);
    return finish(top_);
  }

 private:
  using SharedFd = std::shared_ptr<UniqueFd>;

  std::string where(const std::string& relative) const { return relative.empty() ? shown_ : shown_ + "/" + relative; }
  static std::string path_of(const std::string& relative, const std::string& name) {
    return relative.empty() ? name : relative + "/" + name;
  }

  Status walk(const SharedFd& directory, const std::string& relative, Folder& folder, unsigned depth) {
    if (depth > kMaxDepth) {
      return fail("virtual-fs", "too-deep", fmt::format("{}: more than {} directories deep", where(relative), kMaxDepth));
    }
    const int fd = directory->get();
    if (options_.mtime) {
      struct stat info {};
      if (::fstat(fd, &info) != 0) return fail_errno(errno, where(relative));
      folder.message.mtime = timestamp(info);
    }
    auto names = fs::list(fd);
    if (!names) {
      names.error().message = where(relative) + ": " + names.error().message;
      return forward(names);
    }
    // The threads write into `message.files`: all of them are there before the first is given away.
    std::vector<struct stat> seen;
    for (const auto& [name, type] : *names) {
      if (options_.filter && !options_.filter(path_of(relative, name))) continue;
      if (!fs::valid_utf8(name)) {
        return fail("virtual-fs", "bad-name", fs::escaped(where(path_of(relative, name))) + ": the name is not UTF-8");
      }
      struct stat info {};
      if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, where(path_of(relative, name)));
      if (S_ISREG(info.st_mode)) {
        FileNode file;
        file.name = name;
        file.executable = (info.st_mode & S_IXUSR) != 0;
        if (options_.mtime) file.mtime = timestamp(info);
        folder.message.files.push_back(std::move(file));
        seen.push_back(info);
      } else if (S_ISDIR(info.st_mode)) {
        folder.message.directories.push_back({name, {}});
      } else if (S_ISLNK(info.st_mode)) {
        auto target = fs::read_link(fd, name);
        if (!target) return forward(target);
        if (!fs::valid_utf8(*target)) {
          return fail("virtual-fs", "bad-name",
                      fmt::format("{}: the link's target is not UTF-8: {}", fs::escaped(where(path_of(relative, name))), fs::escaped(*target)));
        }
        folder.message.symlinks.push_back({name, std::move(*target)});
      } else if (options_.skipped != nullptr) {
        options_.skipped->push_back(path_of(relative, name));
      }
    }
    if (!seen.empty()) {
      const auto looked_at = std::make_shared<const std::vector<struct stat>>(std::move(seen));
      in_parts(looked_at->size(), [&](std::size_t i) { return static_cast<std::int64_t>((*looked_at)[i].st_size); },
               [&](std::size_t begin, std::size_t end, std::int64_t bytes) {
                 workers_.add(end - begin, bytes, [this, directory, relative, &folder, looked_at, begin, end] {
                   for (std::size_t i = begin; i < end; ++i) {
                     if (auto done = hash_one(directory->get(), relative, folder.message.files[i], (*looked_at)[i]); !done) return done;
                   }
                   return Status{};
                 });
               });
    }
    for (const DirectoryNode& node : folder.message.directories) {
      if (workers_.failed()) return {};
      const std::string path = path_of(relative, node.name);
      auto child = std::make_shared<UniqueFd>(::openat(fd, node.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!*child) return fail_errno(errno, where(path));
      folder.children.push_back(std::make_unique<Folder>());
      if (auto walked = walk(child, path, *folder.children.back(), depth + 1); !walked) return walked;
    }
    return {};
  }

  // `info`: how it looked in the walk, before it is read.
  Status hash_one(int directory, const std::string& relative, FileNode& file, const struct stat& info) {
    FileDigests* known = options_.known;
    if (known != nullptr) {
      auto digest = known->find(relative, file.name, info);
      // An hour's precision: a time of each file in each session would be most of the work. What goes to others in between is
      // imported again by the job that needs it (J45).
      if (digest && (cas_ == nullptr || cas_->touch(*digest))) {
        file.digest = std::move(*digest);
        return {};
      }
    }
    // O_NONBLOCK: should it have become a FIFO by now, this doesn't hang.
    UniqueFd fd(::openat(directory, file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return fail_errno(errno, where(path_of(relative, file.name)));
    struct stat now {};
    if (::fstat(fd.get(), &now) != 0 || !S_ISREG(now.st_mode)) {
      return fail("virtual-fs", "changed", where(path_of(relative, file.name)) + ": changed while it was read");
    }
    auto digest = cas_ == nullptr      ? digest_of_fd(fd.get())
                  : options_.consume ? cas_->take(directory, file.name, fd.get())
                                     : cas_->add_fd(fd.get());
    if (!digest) {
      digest.error().message = where(path_of(relative, file.name)) + ": " + digest.error().message;
      return forward(digest);
    }
    if (known != nullptr) known->add(relative, file.name, info, *digest);
    file.digest = std::move(*digest);
    return {};
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
  Folder top_;
  Workers workers_;  // after what its threads write to
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
