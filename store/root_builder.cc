#include "store/root_builder.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "store/fs.h"

namespace sluice::store {

namespace {

tl::unexpected<Error> too_deep() {
  return fail("virtual-fs", "too-deep",
              fmt::format("The tree is more than {} directories deep", kMaxDepth));
}

template <typename T>
const T* find(const std::vector<T>& entries, const std::string& name) {
  const auto at = std::lower_bound(
      entries.begin(), entries.end(), name,
      [](const T& entry, const std::string& wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

bool has(const Directory& directory, const std::string& name) {
  return find(directory.files, name) != nullptr || find(directory.directories, name) != nullptr ||
         find(directory.symlinks, name) != nullptr;
}

template <typename Visit>
Status for_each_name(const Directory& directory, const Visit& visit) {
  for (const auto& entry : directory.files) {
    CHECK(visit(entry.name));
  }
  for (const auto& entry : directory.directories) {
    CHECK(visit(entry.name));
  }
  for (const auto& entry : directory.symlinks) {
    CHECK(visit(entry.name));
  }
  return {};
}

Status measure(const Cas& cas, const Digest& root, std::size_t& count, std::size_t limit,
               unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto directory = TRY(read_directory(cas, root));
  count += directory.files.size() + directory.symlinks.size() + directory.directories.size();
  for (const DirectoryNode& sub : directory.directories) {
    if (count > limit) return {};
    CHECK(measure(cas, sub.digest, count, limit, depth + 1));
  }
  return {};
}

Status distance(const Cas& cas, const Directory& from, const Digest& to, std::size_t& count,
                std::size_t limit, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto directory = TRY(read_directory(cas, to));
  for (const FileNode& file : directory.files) {
    const FileNode* old = find(from.files, file.name);
    if (old == nullptr || *old != file) ++count;
  }
  for (const SymlinkNode& link : directory.symlinks) {
    const SymlinkNode* old = find(from.symlinks, link.name);
    if (old == nullptr || *old != link) ++count;
  }
  for (const DirectoryNode& sub : directory.directories) {
    if (count > limit) return {};
    const DirectoryNode* old = find(from.directories, sub.name);
    if (old != nullptr && *old == sub) continue;
    ++count;
    if (old == nullptr) {
      CHECK(measure(cas, sub.digest, count, limit, depth + 1));
      continue;
    }
    auto below = TRY(read_directory(cas, old->digest));
    CHECK(distance(cas, below, sub.digest, count, limit, depth + 1));
  }
  return for_each_name(from, [&](const std::string& name) {
    if (!has(directory, name)) ++count;
    return Status{};
  });
}

}  // namespace

OpenFolder::~OpenFolder() {
  if (!mtime_ || !fd_) return;
  const timespec times[2] = {{mtime_->seconds, mtime_->nanos}, {mtime_->seconds, mtime_->nanos}};
  if (::futimens(fd_.get(), times) != 0)
    workers_.fail(fail_errno(errno, "cannot set a directory's time"));
}

unsigned RootBuilder::next(const FileNode& file) {
  return seen_[file.digest.hash + (file.executable ? "x" : "-")]++;
}

void RootBuilder::add_files(const Folder& directory, std::vector<FileNode> files) {
  if (files.empty()) return;
  struct Part {
    std::vector<FileNode> files;
    std::vector<unsigned> numbers;
  };
  auto all = std::make_shared<Part>();
  for (const FileNode& file : files) all->numbers.push_back(file.mtime ? 0 : next(file));
  all->files = std::move(files);
  in_parts(
      all->files.size(), [&](std::size_t i) { return all->files[i].digest.size; },
      [&](std::size_t begin, std::size_t end, std::int64_t bytes) {
        workers_.add(end - begin, bytes, [this, directory, all, begin, end]() -> Status {
          for (std::size_t i = begin; i < end; ++i) {
            const FileNode& file = all->files[i];
            CHECK(file.mtime ? write_private_file(cas_, directory->get(), file,
                                                  file.executable ? 0755 : 0644, true)
                             : twins_.link(file.digest,
                                           file.executable ? Twins::Mode::k755 : Twins::Mode::k644,
                                           all->numbers[i], directory->get(), file.name));
          }
          return {};
        });
      });
}

Status RootBuilder::add_link(int directory, const SymlinkNode& link) {
  if (::symlinkat(link.target.c_str(), directory, link.name.c_str()) != 0 ||
      fs::set_times(directory, link.name.c_str(), kFixedMtime) != 0) {
    return fail_errno(errno, link.name);
  }
  return {};
}

Result<UniqueFd> RootBuilder::add_directory(int directory, const std::string& name) {
  if (::mkdirat(directory, name.c_str(), 0700) != 0) return fail_errno(errno, name);
  UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || ::fchmod(fd.get(), 0755) != 0) return fail_errno(errno, name);
  return fd;
}

Status RootBuilder::fill(UniqueFd directory, const Digest& root) {
  CHECK(fill(opened(std::move(directory)), root, 0));
  return workers_.finish();
}

Status RootBuilder::fill(const Folder& directory, const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = TRY(read_directory(cas_, root));
  add_files(directory, std::move(content.files));
  for (const SymlinkNode& link : content.symlinks) {
    CHECK(add_link(directory->get(), link));
  }
  for (const DirectoryNode& sub : content.directories) {
    if (workers_.failed()) return {};
    auto child = TRY(add_directory(directory->get(), sub.name));
    CHECK(fill(opened(std::move(child)), sub.digest, depth + 1));
  }
  return {};
}

Result<bool> RootBuilder::is_good(const std::vector<int>& layers, const Digest& root) {
  std::vector<std::shared_ptr<UniqueFd>> open;
  for (const int fd : layers)
    open.push_back(
        std::make_shared<UniqueFd>(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  auto done = look_at(open, root, 0);
  if (done) done = workers_.finish();
  if (!done && done.error().reason == "damaged") return false;
  if (!done) return forward(done);
  return true;
}

Status RootBuilder::look_at(const std::vector<std::shared_ptr<UniqueFd>>& layers,
                            const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto read = TRY(read_directory(cas_, root));
  const auto content = std::make_shared<const Directory>(std::move(read));
  in_parts(
      content->files.size(), [&](std::size_t i) { return content->files[i].digest.size; },
      [&](std::size_t begin, std::size_t end, std::int64_t bytes) {
        workers_.add(end - begin, bytes, [this, layers, content, begin, end] {
          for (std::size_t i = begin; i < end; ++i) {
            const FileNode& file = content->files[i];
            if (file.mtime) continue;  // such a file is never a twin
            const auto mode = file.executable ? Twins::Mode::k755 : Twins::Mode::k644;
            // A build sees the file of the topmost layer that has it.
            const auto layer = std::find_if(layers.rbegin(), layers.rend(), [&](const auto& fd) {
              return ::faccessat(fd->get(), file.name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
            });
            if (layer == layers.rend() ||
                !twins_.is_good(file.digest, mode, (*layer)->get(), file.name)) {
              return Status(fail("cas", "damaged", file.name));
            }
          }
          return Status{};
        });
      });
  for (const DirectoryNode& sub : content->directories) {
    if (workers_.failed()) return {};
    std::vector<std::shared_ptr<UniqueFd>> below;
    for (const auto& fd : layers) {
      auto child = std::make_shared<UniqueFd>(
          ::openat(fd->get(), sub.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (*child) below.push_back(std::move(child));
    }
    if (below.empty()) return fail("cas", "damaged", sub.name);
    CHECK(look_at(below, sub.digest, depth + 1));
  }
  return {};
}

Status RootBuilder::count(const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = TRY(read_directory(cas_, root));
  for (const FileNode& file : content.files) {
    if (!file.mtime) next(file);
  }
  for (const DirectoryNode& sub : content.directories) {
    CHECK(count(sub.digest, depth + 1));
  }
  return {};
}

Status RootBuilder::fill_delta(UniqueFd directory, const Digest& from, const Digest& to) {
  // The layers below use twins, too: this one goes on counting where they end.
  CHECK(count(from, 0));
  auto base = TRY(read_directory(cas_, from));
  CHECK(delta(opened(std::move(directory)), base, to, 0));
  return workers_.finish();
}

Status RootBuilder::delta(const Folder& directory, const Directory& from, const Digest& to,
                          unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = TRY(read_directory(cas_, to));
  std::vector<FileNode> files;
  for (const FileNode& file : content.files) {
    const FileNode* old = find(from.files, file.name);
    if (old == nullptr || *old != file) files.push_back(file);
  }
  add_files(directory, std::move(files));
  for (const SymlinkNode& link : content.symlinks) {
    const SymlinkNode* old = find(from.symlinks, link.name);
    if (old != nullptr && *old == link) continue;
    CHECK(add_link(directory->get(), link));
  }
  for (const DirectoryNode& sub : content.directories) {
    const DirectoryNode* old = find(from.directories, sub.name);
    if (old != nullptr && *old == sub) continue;
    auto child = TRY(add_directory(directory->get(), sub.name));
    const Folder folder = opened(std::move(child));
    if (old == nullptr) {
      CHECK(fill(folder, sub.digest, depth + 1));
      continue;
    }
    auto below = TRY(read_directory(cas_, old->digest));
    CHECK(delta(folder, below, sub.digest, depth + 1));
  }
  return for_each_name(from, [&](const std::string& name) {
    // A whiteout is the one device that the kernel lets anybody make.
    if (!has(content, name) &&
        ::mknodat(directory->get(), name.c_str(), S_IFCHR, makedev(0, 0)) != 0) {
      return Status(fail_errno(errno, name));
    }
    return Status{};
  });
}

Result<std::size_t> tree_distance(const Cas& cas, const Digest& from, const Digest& to,
                                  std::size_t limit) {
  if (from == to) return std::size_t{0};
  auto base = TRY(read_directory(cas, from));
  std::size_t count = 0;
  CHECK(distance(cas, base, to, count, limit, 0));
  return count;
}

Status write_private_file(const Cas& cas, int directory, const FileNode& file, mode_t mode,
                          bool exact) {
  UniqueFd to(::openat(directory, file.name.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!to) return fail_errno(errno, file.name);
  if (auto copied = cas.copy_to(file.digest, to.get()); !copied) {
    ::unlinkat(directory, file.name.c_str(), 0);
    return copied;
  }
  if (!exact && !file.mtime) return {};
  struct stat info {};
  if (exact && (::fstat(to.get(), &info) != 0 ||
                ((info.st_mode & 07777) != mode && ::fchmod(to.get(), mode) != 0))) {
    return fail_errno(errno, file.name);
  }
  const Timestamp mtime = file.mtime.value_or(Timestamp{kFixedMtime, 0});
  const timespec times[2] = {{mtime.seconds, mtime.nanos}, {mtime.seconds, mtime.nanos}};
  if (::futimens(to.get(), times) != 0) return fail_errno(errno, file.name);
  return {};
}

}  // namespace sluice::store
