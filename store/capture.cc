#include "store/capture.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "store/fs.h"
#include "store/tree.h"

namespace sluice::store {

namespace {

// Gives the owner the rights to read. What belongs to others is left as it is, and fails with its
// path when it is read.
Status make_readable(int directory, const std::string& shown, unsigned depth) {
  if (depth > kMaxDepth) return {};  // the import will refuse it
  auto names = TRY(fs::list(directory));
  for (const auto& [name, type] : names) {
    struct stat info {};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(errno, shown + "/" + name);
    const mode_t need = S_ISDIR(info.st_mode) ? 0700 : S_ISREG(info.st_mode) ? 0400 : 0;
    if (need == 0) continue;
    if ((info.st_mode & need) != need && info.st_uid == ::geteuid()) {
      // fchmodat knows no AT_SYMLINK_NOFOLLOW: the entry is opened by O_PATH, so that nothing can
      // take its place.
      UniqueFd entry(::openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      struct stat same {};
      if (entry && ::fstat(entry.get(), &same) == 0 && same.st_ino == info.st_ino) {
        ::chmod(fmt::format("/proc/self/fd/{}", entry.get()).c_str(),
                (info.st_mode & 07777) | need);
      }
    }
    if (S_ISDIR(info.st_mode)) {
      UniqueFd child(
          ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child) return fail_errno(errno, shown + "/" + name);
      CHECK(make_readable(child.get(), shown + "/" + name, depth + 1));
    }
  }
  return {};
}

Status prepare(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return fail("virtual-fs", "not-found", path + ": no such directory");
    return fail_errno(errno, path);
  }
  if (!S_ISDIR(info.st_mode))
    return fail("virtual-fs", "not-a-directory", path + ": not a directory");
  // Root reads everything as it is.
  if (::geteuid() == 0) return {};
  if ((info.st_mode & 0700) != 0700 && info.st_uid == ::geteuid())
    ::chmod(path.c_str(), (info.st_mode & 07777) | 0700);
  auto directory = TRY(fs::open_directory(path));
  return make_readable(directory.get(), path, 0);
}

// The value of an xattr that overlayfs uses, with and without `userxattr`; '\0' without one, '?'
// for an empty one.
char mark(int fd, const char* name) {
  char value[256];
  for (const char* space : {"trusted.overlay.", "user.overlay."}) {
    const ssize_t n = ::fgetxattr(fd, (std::string(space) + name).c_str(), value, sizeof value);
    if (n > 0) return value[0];
    if (n == 0 || errno == ERANGE) return '?';
  }
  return '\0';
}

class OverlayCapture {
 public:
  OverlayCapture(Cas& cas, const ImportOptions& options, const std::string& upper)
      : cas_(cas), options_(options), shown_(options.shown.value_or(upper)) {}

  Status run(int directory, const std::string& relative, Tree& tree, unsigned depth) {
    if (depth > kMaxDepth) {
      return fail("virtual-fs", "too-deep",
                  fmt::format("{}/{}: more than {} directories deep", shown_, relative, kMaxDepth));
    }
    auto names = TRY(fs::list(directory));
    for (const auto& [name, type] : names) {
      const std::string path = relative.empty() ? name : relative + "/" + name;
      if (options_.filter && !options_.filter(path)) continue;
      struct stat info {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, shown_ + "/" + path);
      if (!fs::valid_utf8(name)) {
        return fail("virtual-fs", "bad-name",
                    fs::escaped(shown_ + "/" + path) + ": the name is not UTF-8");
      }
      CHECK(entry(directory, name, path, info, tree, depth));
    }
    return {};
  }

 private:
  Status entry(int directory, const std::string& name, const std::string& path,
               const struct stat& info, Tree& tree, unsigned depth) {
    if (S_ISCHR(info.st_mode) && info.st_rdev == 0) return tree.remove(path);
    if (S_ISLNK(info.st_mode)) {
      auto target = TRY(fs::read_link(directory, name));
      if (!fs::valid_utf8(target)) {
        return fail("virtual-fs", "bad-name",
                    fmt::format("{}: the link's target is not UTF-8: {}",
                                fs::escaped(shown_ + "/" + path), fs::escaped(target)));
      }
      return tree.put_symlink(path, std::move(target));
    }
    if (S_ISREG(info.st_mode)) {
      UniqueFd fd(
          ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      if (!fd) return fail_errno(errno, shown_ + "/" + path);
      if (info.st_size == 0 && mark(fd.get(), "whiteout") != '\0') return tree.remove(path);
      if (mark(fd.get(), "metacopy") != '\0') return elsewhere(path, "metacopy");
      auto digest =
          TRY(options_.consume ? cas_.take(directory, name, fd.get()) : cas_.add_fd(fd.get()));
      return tree.put_file(path, digest, (info.st_mode & S_IXUSR) != 0);
    }
    if (S_ISDIR(info.st_mode)) {
      UniqueFd fd(
          ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd) return fail_errno(errno, shown_ + "/" + path);
      if (mark(fd.get(), "redirect") != '\0') return elsewhere(path, "redirect_dir");
      auto below = TRY(tree.find(path));
      // Nothing of the lower tree shows through an opaque directory, nor where it has no directory.
      if (below && (below->type != EntryType::kDirectory || mark(fd.get(), "opaque") == 'y')) {
        CHECK(tree.remove(path));
      }
      CHECK(tree.make_directory(path));
      return run(fd.get(), path, tree, depth + 1);
    }
    if (options_.skipped != nullptr) options_.skipped->push_back(path);
    // An entry of the upper directory hides what the lower tree has of that name.
    return tree.remove(path);
  }

  // These mark content that lies under another name in the lower tree; our mounts switch them off.
  Status elsewhere(const std::string& path, const char* option) const {
    return fail("virtual-fs", "bad-overlay",
                fmt::format("{}/{}: the overlay was mounted with {}=on, which can't be captured",
                            shown_, path, option));
  }

  Cas& cas_;
  const ImportOptions& options_;
  const std::string shown_;
};

}  // namespace

Result<Digest> capture(Cas& cas, const std::string& path, const ImportOptions& options) {
  CHECK(prepare(path));
  return import_tree(cas, path, options);
}

Result<Digest> capture_overlay(Cas& cas, const Digest& lower, const std::string& upper,
                               const ImportOptions& options) {
  CHECK(prepare(upper));
  auto tree = TRY(Tree::open(cas, lower));
  auto directory = TRY(fs::open_directory(upper));
  CHECK(OverlayCapture(cas, options, upper).run(directory.get(), "", tree, 0));
  return tree.store(cas);
}

}  // namespace sluice::store
