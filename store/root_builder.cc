#include "store/root_builder.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/format.h>

#include "store/fs.h"

namespace sluice::store {

namespace {

tl::unexpected<Error> too_deep() {
  return fail("virtual-fs", "too-deep", fmt::format("The tree is more than {} directories deep", kMaxDepth));
}

template <typename T>
const T* find(const std::vector<T>& entries, const std::string& name) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), name,
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
    if (auto done = visit(entry.name); !done) return done;
  }
  for (const auto& entry : directory.directories) {
    if (auto done = visit(entry.name); !done) return done;
  }
  for (const auto& entry : directory.symlinks) {
    if (auto done = visit(entry.name); !done) return done;
  }
  return {};
}

Status fix_time(int directory) {
  const timespec times[2] = {{kFixedMtime, 0}, {kFixedMtime, 0}};
  if (::futimens(directory, times) != 0) return fail_errno(errno, "cannot set a directory's time");
  return {};
}

Status measure(const Cas& cas, const Digest& root, std::size_t& count, std::size_t limit, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto directory = read_directory(cas, root);
  if (!directory) return forward(directory);
  count += directory->files.size() + directory->symlinks.size() + directory->directories.size();
  for (const DirectoryNode& sub : directory->directories) {
    if (count > limit) return {};
    if (auto done = measure(cas, sub.digest, count, limit, depth + 1); !done) return done;
  }
  return {};
}

Status distance(const Cas& cas, const Directory& from, const Digest& to, std::size_t& count, std::size_t limit,
                unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto directory = read_directory(cas, to);
  if (!directory) return forward(directory);
  for (const FileNode& file : directory->files) {
    const FileNode* old = find(from.files, file.name);
    if (old == nullptr || *old != file) ++count;
  }
  for (const SymlinkNode& link : directory->symlinks) {
    const SymlinkNode* old = find(from.symlinks, link.name);
    if (old == nullptr || *old != link) ++count;
  }
  for (const DirectoryNode& sub : directory->directories) {
    if (count > limit) return {};
    const DirectoryNode* old = find(from.directories, sub.name);
    if (old != nullptr && *old == sub) continue;
    ++count;
    if (old == nullptr) {
      if (auto done = measure(cas, sub.digest, count, limit, depth + 1); !done) return done;
      continue;
    }
    auto below = read_directory(cas, old->digest);
    if (!below) return forward(below);
    if (auto done = distance(cas, *below, sub.digest, count, limit, depth + 1); !done) return done;
  }
  return for_each_name(from, [&](const std::string& name) {
    if (!has(*directory, name)) ++count;
    return Status{};
  });
}

}  // namespace

unsigned RootBuilder::next(const FileNode& file) {
  return seen_[file.digest.hash + (file.executable ? "x" : "-")]++;
}

Status RootBuilder::add_file(int directory, const FileNode& file) {
  if (file.mtime) return write_private_file(cas_, directory, file, file.executable ? 0755 : 0644, true);
  return twins_.link(file.digest, file.executable ? Twins::Mode::k755 : Twins::Mode::k644, next(file), directory, file.name);
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

Status RootBuilder::fill(int directory, const Digest& root) { return fill(directory, root, 0); }

Status RootBuilder::fill(int directory, const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = read_directory(cas_, root);
  if (!content) return forward(content);
  for (const FileNode& file : content->files) {
    if (auto done = add_file(directory, file); !done) return done;
  }
  for (const SymlinkNode& link : content->symlinks) {
    if (auto done = add_link(directory, link); !done) return done;
  }
  for (const DirectoryNode& sub : content->directories) {
    auto child = add_directory(directory, sub.name);
    if (!child) return forward(child);
    if (auto done = fill(child->get(), sub.digest, depth + 1); !done) return done;
  }
  return fix_time(directory);
}

Status RootBuilder::count(const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = read_directory(cas_, root);
  if (!content) return forward(content);
  for (const FileNode& file : content->files) {
    if (!file.mtime) next(file);
  }
  for (const DirectoryNode& sub : content->directories) {
    if (auto done = count(sub.digest, depth + 1); !done) return done;
  }
  return {};
}

Status RootBuilder::fill_delta(int directory, const Digest& from, const Digest& to) {
  // The layers below use twins too: the layer goes on counting where they end.
  if (auto counted = count(from, 0); !counted) return counted;
  auto base = read_directory(cas_, from);
  if (!base) return forward(base);
  return delta(directory, *base, to, 0);
}

Status RootBuilder::delta(int directory, const Directory& from, const Digest& to, unsigned depth) {
  if (depth > kMaxDepth) return too_deep();
  auto content = read_directory(cas_, to);
  if (!content) return forward(content);
  for (const FileNode& file : content->files) {
    const FileNode* old = find(from.files, file.name);
    if (old != nullptr && *old == file) continue;
    if (auto done = add_file(directory, file); !done) return done;
  }
  for (const SymlinkNode& link : content->symlinks) {
    const SymlinkNode* old = find(from.symlinks, link.name);
    if (old != nullptr && *old == link) continue;
    if (auto done = add_link(directory, link); !done) return done;
  }
  for (const DirectoryNode& sub : content->directories) {
    const DirectoryNode* old = find(from.directories, sub.name);
    if (old != nullptr && *old == sub) continue;
    auto child = add_directory(directory, sub.name);
    if (!child) return forward(child);
    if (old == nullptr) {
      if (auto done = fill(child->get(), sub.digest, depth + 1); !done) return done;
      continue;
    }
    auto below = read_directory(cas_, old->digest);
    if (!below) return forward(below);
    if (auto done = delta(child->get(), *below, sub.digest, depth + 1); !done) return done;
  }
  auto gone = for_each_name(from, [&](const std::string& name) {
    // A whiteout; the kernel lets anybody make this one device.
    if (!has(*content, name) && ::mknodat(directory, name.c_str(), S_IFCHR, makedev(0, 0)) != 0) {
      return Status(fail_errno(errno, name));
    }
    return Status{};
  });
  if (!gone) return gone;
  return fix_time(directory);
}

Result<std::size_t> tree_distance(const Cas& cas, const Digest& from, const Digest& to, std::size_t limit) {
  if (from == to) return std::size_t{0};
  auto base = read_directory(cas, from);
  if (!base) return forward(base);
  std::size_t count = 0;
  if (auto done = distance(cas, *base, to, count, limit, 0); !done) return forward(done);
  return count;
}

Status write_private_file(const Cas& cas, int directory, const FileNode& file, mode_t mode, bool set_times) {
  auto from = cas.open_blob(file.digest);
  if (!from) return forward(from);
  UniqueFd to(::openat(directory, file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!to) return fail_errno(errno, file.name);
  if (auto copied = fs::copy_content(from->get(), to.get()); !copied) return copied;
  if (!set_times) return {};
  // Exactly the mode, whatever the umask says.
  const Timestamp mtime = file.mtime.value_or(Timestamp{kFixedMtime, 0});
  const timespec times[2] = {{mtime.seconds, mtime.nanos}, {mtime.seconds, mtime.nanos}};
  if (::fchmod(to.get(), mode) != 0 || ::futimens(to.get(), times) != 0) return fail_errno(errno, file.name);
  return {};
}

}  // namespace sluice::store
