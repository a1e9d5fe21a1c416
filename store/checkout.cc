// Trees copied out of the store: for builds to work in, and for users.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/measure.h"
#include "store/realise.h"
#include "store/root_builder.h"
#include "store/twins.h"
#include "store/workers.h"

namespace sluice::store {

namespace {

struct How {
  bool replace = false;    // whether what is there gives way
  bool exact = false;      // whether modes and times are as in a sandbox, not as the umask says
  Twins* twins = nullptr;  // what is linked instead of copying; null: nothing is
};

class Copier {
 public:
  Copier(const Cas& cas, How how) : cas_(cas), how_(how) {}

  Status run(UniqueFd directory, const Digest& root, const std::string& shown) {
    CHECK(fill(std::move(directory), root, shown, 0));
    return workers_.finish();
  }

 private:
  Status fill(UniqueFd fd, const Digest& root, const std::string& shown, unsigned depth) {
    if (depth > kMaxDepth) {
      return fail("virtual-fs", "too-deep",
                  fmt::format("{}: more than {} directories deep", shown, kMaxDepth));
    }
    auto read = TRY(read_directory(cas_, root));
    const auto content = std::make_shared<const Directory>(std::move(read));
    const auto folder = std::make_shared<OpenFolder>(
        std::move(fd), workers_,
        how_.exact ? content->mtime.value_or(Timestamp{kFixedMtime, 0}) : content->mtime);
    in_parts(
        content->files.size(), [&](std::size_t i) { return content->files[i].digest.size; },
        [&](std::size_t begin, std::size_t end, std::int64_t bytes) {
          workers_.add(end - begin, bytes, [this, folder, content, shown, begin, end]() -> Status {
            for (std::size_t i = begin; i < end; ++i) {
              CHECK(in(add_file(folder->get(), content->files[i]), shown));
            }
            return {};
          });
        });
    for (const SymlinkNode& link : content->symlinks) {
      CHECK(in(add_link(folder->get(), link), shown));
    }
    for (const DirectoryNode& sub : content->directories) {
      if (workers_.failed()) return {};
      auto child = add_directory(folder->get(), sub.name);
      if (!child) return in(forward(child), shown);
      CHECK(fill(std::move(*child), sub.digest, shown + "/" + sub.name, depth + 1));
    }
    return {};
  }

  // An error in the name of the directory `shown`.
  static Status in(Status status, const std::string& shown) {
    if (!status && status.error().domain == "util")
      status.error().message = shown + "/" + status.error().message;
    return status;
  }

  // Makes a file or link by `make`, which gets a name for it. What is there gives way when the new
  // one is whole, and not before: a full disk costs nobody a file.
  template <typename Make>
  Status put(int directory, const std::string& name, Make make) {
    struct stat info {};
    if (!how_.replace || ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return make(name);
    const std::string beside = beside_name();
    Status made = make(beside);
    if (made && ::renameat(directory, beside.c_str(), directory, name.c_str()) != 0 &&
        (errno != EISDIR || ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 ||
         ::renameat(directory, beside.c_str(), directory, name.c_str()) != 0)) {
      made = fail_errno(errno, name);
    }
    if (!made) ::unlinkat(directory, beside.c_str(), 0);
    return made;
  }

  std::string beside_name() { return fmt::format(".sluice-{}-{}", ::getpid(), beside_++); }

  Status add_file(int directory, const FileNode& file) {
    return put(directory, file.name,
               [&](const std::string& name) { return write_file(directory, file, name); });
  }

  Status write_file(int directory, const FileNode& file, const std::string& name) {
    if (how_.twins != nullptr && !file.mtime) {
      return how_.twins->link(file.digest, file.executable ? Twins::Mode::k555 : Twins::Mode::k444,
                              0, directory, name);
    }
    const mode_t mode = file.executable ? (how_.exact ? 0755 : 0777) : (how_.exact ? 0644 : 0666);
    FileNode named = file;
    named.name = name;
    if (auto done = write_private_file(cas_, directory, named, mode, how_.exact); !done) {
      // Half of a file must not stay.
      if (done.error().reason != "eexist") ::unlinkat(directory, name.c_str(), 0);
      return done;
    }
    if (!how_.exact && file.mtime &&
        fs::set_times(directory, name.c_str(), file.mtime->seconds, file.mtime->nanos) != 0) {
      return fail_errno(errno, file.name);
    }
    return {};
  }

  Status add_link(int directory, const SymlinkNode& link) {
    return put(directory, link.name, [&](const std::string& name) -> Status {
      if (::symlinkat(link.target.c_str(), directory, name.c_str()) != 0)
        return fail_errno(errno, link.name);
      if (how_.exact && fs::set_times(directory, name.c_str(), kFixedMtime) != 0)
        return fail_errno(errno, link.name);
      return {};
    });
  }

  // Makes a directory, in the place of a file or a link if there is one. A link to a directory is
  // not a directory: followed, it would lead out of here.
  bool put_directory(int directory, const std::string& name, mode_t mode) {
    const std::string beside = beside_name();
    if (::mkdirat(directory, beside.c_str(), mode) != 0) return false;
    if (::renameat2(directory, beside.c_str(), directory, name.c_str(), RENAME_EXCHANGE) == 0) {
      return ::unlinkat(directory, beside.c_str(), 0) == 0;
    }
    // The filesystem can't exchange names.
    return ::unlinkat(directory, name.c_str(), 0) == 0 &&
           ::renameat(directory, beside.c_str(), directory, name.c_str()) == 0;
  }

  Result<UniqueFd> add_directory(int directory, const std::string& name) {
    const mode_t mode = how_.exact ? 0755 : 0777;
    if (::mkdirat(directory, name.c_str(), mode) != 0) {
      if (errno != EEXIST || !how_.replace) return fail_errno(errno, name);
      struct stat info {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, name);
      if (!S_ISDIR(info.st_mode) && !put_directory(directory, name, mode))
        return fail_errno(errno, name);
    }
    UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || (how_.exact && ::fchmod(fd.get(), mode) != 0)) return fail_errno(errno, name);
    return fd;
  }

  const Cas& cas_;
  How how_;
  std::atomic<unsigned> beside_ = 0;
  Workers workers_;
};

Result<UniqueFd> open_target(const std::string& directory, bool may_hold_entries) {
  CHECK(make_directories(directory));
  auto fd = TRY(fs::open_directory(directory, true));
  if (may_hold_entries) return fd;
  auto names = TRY(fs::list(fd.get()));
  if (!names.empty()) {
    return fail("virtual-fs", "directory-not-empty",
                fmt::format("Checkout directory is not empty: {}", directory));
  }
  return fd;
}

}  // namespace

Status copy_out(const Cas& cas, const Digest& root, const std::string& directory) {
  CHECK(check_unfolded(cas, root));
  auto target = TRY(open_target(directory, false));
  return Copier(cas, {.replace = false, .exact = true, .twins = nullptr})
      .run(std::move(target), root, directory);
}

Status checkout(Cas& cas, const Digest& root, const std::string& directory,
                const CheckoutOptions& options) {
  CHECK(check_unfolded(cas, root));
  auto target = TRY(open_target(directory, options.force));
  std::optional<Twins> twins;
  if (options.hardlinks) {
    auto opened = TRY(Twins::open(cas));
    twins.emplace(std::move(opened));
  }
  const How how{
      .replace = options.force, .exact = options.fixed_mtime, .twins = twins ? &*twins : nullptr};
  return Copier(cas, how).run(std::move(target), root, directory);
}

}  // namespace sluice::store
