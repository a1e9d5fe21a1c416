#include "jobs/unpack.h"

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fd.h"
#include "base/glob.h"
#include "base/try.h"

namespace sluice::jobs {

namespace {

struct FreeArchive {
  void operator()(struct archive* archive) const { archive_read_free(archive); }
};
using Reader = std::unique_ptr<struct archive, FreeArchive>;

std::string strip_slashes(std::string text) {
  while (!text.empty() && text.back() == '/') text.pop_back();
  return text;
}

// Strips as Python's lstrip("./"), any of these characters, as BuildStream does.
std::string_view strip_dots(std::string_view text) {
  const auto first = text.find_first_not_of("./");
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return parts;
}

enum class Kind { kTar, kZip, kLayer };

// A member's name without what makes no difference to where it is.
std::string plain(std::string_view path) { return fmt::format("{}", fmt::join(split(path), "/")); }

class Unpacker {
 public:
  // `selected`: those members of a layer that are wanted, by their place. `bytes`: how many there
  // are already.
  Unpacker(Kind kind, const std::string& archive, const UnpackOptions& options,
           const std::vector<bool>* selected = nullptr, std::uint64_t bytes = 0)
      : kind_(kind), archive_(archive), options_(options), selected_(selected), bytes_(bytes) {}

  Status run(const std::string& directory) {
    root_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) return fail_errno(errno, directory);
    if (kind_ == Kind::kZip) {
      if (!options_.base_dir.empty()) CHECK(find_zip_base());
      return extract_zip();
    }
    if (!options_.base_dir.empty()) {
      CHECK(find_base());
    }
    CHECK(extract());
    return resolve_links();
  }

  Result<std::vector<TarMember>> list() {
    std::vector<TarMember> members;
    CHECK(each([&](struct archive*, archive_entry* entry, const std::string& name) -> Status {
      const auto type = archive_entry_filetype(entry);
      const bool device = archive_entry_hardlink(entry) == nullptr &&
                          (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO);
      members.push_back({name, device});
      return {};
    }));
    return members;
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  tl::unexpected<Error> error(std::string reason, std::string_view member,
                              std::string_view what) const {
    return fail("source", std::move(reason),
                member.empty() ? fmt::format("{}: {}", options_.shown, what)
                               : fmt::format("{}: member '{}': {}", options_.shown, member, what));
  }
  tl::unexpected<Error> unsafe(std::string_view member, std::string_view what) const {
    return error("unsafe-member", member, what);
  }
  tl::unexpected<Error> system(std::string_view member) const {
    return error("bad-archive", member, std::strerror(errno));
  }

  Result<Reader> open() const {
    Reader reader(archive_read_new());
    struct archive* a = reader.get();
    if (kind_ == Kind::kZip) {
      // The directory at its end says what is in it; without one it is cut short. Names that aren't
      // UTF-8 are CP437's, as Python has it.
      archive_read_support_format_zip_seekable(a);
      archive_read_set_options(a, "hdrcharset=CP437");
      if (archive_read_open_filename(a, archive_.c_str(), 1 << 18) != ARCHIVE_OK)
        return error("bad-archive", {}, archive_error_string(a));
      return reader;
    }
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_lzip(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_compress(a);
    if (archive_read_open_filename(a, archive_.c_str(), 1 << 18) != ARCHIVE_OK) {
      return error("bad-archive", {}, archive_error_string(a));
    }
    return reader;
  }

  // A zip archive that is only the end of its directory, with no member; libarchive takes it for no
  // archive.
  bool is_empty_zip() const {
    const UniqueFd fd(::open(archive_.c_str(), O_RDONLY | O_CLOEXEC));
    char start[12];
    return fd && ::pread(fd.get(), start, sizeof start, 0) == sizeof start &&
           std::string_view(start, 4) == "PK\5\6" &&
           std::all_of(start + 4, start + 12, [](char c) { return c == 0; });
  }

  // Calls `visit(entry, name)` for each member.
  template <typename Visit>
  Status each(Visit&& visit) {
    if (kind_ == Kind::kZip && is_empty_zip()) return {};
    auto reader = TRY(open());
    std::string last;
    std::uint64_t members = 0;
    for (;;) {
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(reader.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      // Warnings are about what we don't use (times, owners), or about names, which are checked
      // here.
      if (code < ARCHIVE_WARN) {
        const char* why = archive_error_string(reader.get());
        return error("bad-archive", last,
                     fmt::format("{}the archive can't be read: {}", last.empty() ? "" : "after it ",
                                 why != nullptr ? why : "damaged"));
      }
      place_ = members;
      if (++members > options_.max_members) {
        return error("too-large", {},
                     fmt::format("it has more than {} members", options_.max_members));
      }
      const char* raw = archive_entry_pathname(entry);
      if (raw == nullptr) raw = archive_entry_pathname_utf8(entry);
      if (raw == nullptr || *raw == '\0')
        return error("bad-archive", last,
                     "after it comes a member without a name that can be read");
      last = raw;
      // The slash at the end of a name is what makes a directory in a zip archive.
      CHECK(visit(reader.get(), entry, kind_ == Kind::kZip ? last : strip_slashes(last)));
    }
    // An image has layers in which nothing is, and what an empty zip archive lacks is told by its
    // base directory.
    const bool may_be_empty =
        kind_ == Kind::kZip ||
        (kind_ == Kind::kLayer && archive_format(reader.get()) != ARCHIVE_FORMAT_EMPTY);
    if (may_be_empty) return {};
    if (archive_format(reader.get()) == ARCHIVE_FORMAT_EMPTY || members == 0) {
      return error("bad-archive", {}, "it is no tar archive, or an empty one");
    }
    return {};
  }

  // Finds the base directory: the first, by name, that the pattern matches. A directory counts when
  // it is a member, or when a member lies in it.
  Status find_base() {
    std::set<std::string> members;
    std::vector<std::pair<std::string, bool>> paths;
    auto listed =
        each([&](struct archive*, archive_entry* entry, const std::string& name) -> Status {
          members.insert(name);
          paths.emplace_back(name, archive_entry_filetype(entry) == AE_IFDIR &&
                                       archive_entry_hardlink(entry) == nullptr);
          return {};
        });
    if (!listed) return listed;
    const Glob glob(options_.base_dir.front() == '/' ? options_.base_dir : "/" + options_.base_dir);
    std::optional<std::string> best;
    const auto candidate = [&](std::string_view path) {
      if (best && std::string_view(*best) <= path) return;
      if (glob.matches(path.empty() || path.front() != '/' ? "/" + std::string(path)
                                                           : std::string(path)))
        best = std::string(path);
    };
    for (const auto& [raw, is_directory] : paths) {
      const std::string_view name = strip_dots(raw);
      if (is_directory) {
        candidate(name);
        continue;
      }
      for (auto slash = name.find('/'); slash != std::string_view::npos;
           slash = name.find('/', slash + 1)) {
        const std::string_view parent = name.substr(0, slash);
        if (members.count(std::string(parent)) == 0) candidate(parent);
      }
    }
    return set_base(best);
  }

  // The same for a zip archive. Its directories have a slash at the end of their names, and no name
  // is changed before it is compared.
  Status find_zip_base() {
    std::set<std::string> members;
    std::vector<std::string> names;
    CHECK(each([&](struct archive*, archive_entry*, const std::string& name) -> Status {
      members.insert(name);
      names.push_back(name);
      return {};
    }));
    const Glob glob(options_.base_dir.front() == '/' ? options_.base_dir : "/" + options_.base_dir);
    std::optional<std::string> best;
    const auto candidate = [&](const std::string& path) {
      if (best && *best <= path) return;
      if (glob.matches(path.empty() || path.front() != '/' ? "/" + path : path)) best = path;
    };
    for (const std::string& name : names) {
      if (name.back() == '/') {
        if (name != "./") candidate(name);
        continue;
      }
      for (auto slash = name.find('/'); slash != std::string::npos;
           slash = name.find('/', slash + 1)) {
        const std::string parent = name.substr(0, slash);
        if (parent != "." && members.count(parent) == 0) candidate(parent);
      }
    }
    return set_base(best);
  }

  Status set_base(const std::optional<std::string>& best) {
    if (!best)
      return error(
          "no-base-dir", {},
          fmt::format("Could not find base directory matching pattern: {}", options_.base_dir));
    if (!best->empty()) base_ = best->back() == '/' ? *best : *best + "/";
    return {};
  }

  // The member's name below the base directory; std::nullopt when it isn't in it.
  std::optional<std::string> below_base(std::string name) const {
    if (options_.strip_first) {
      const auto slash = name.find('/');
      if (slash == std::string::npos) return std::nullopt;
      return name.substr(slash + 1);
    }
    if (base_.empty()) return name;
    if (name.compare(0, 2, "./") == 0) name.erase(0, 2);
    if (name.compare(0, base_.size(), base_) != 0) return std::nullopt;
    return name.substr(base_.size());
  }

  // Opens the directory that holds the last component, and makes it when it is absent. Links on the
  // way are followed as far as they stay below the root.
  Result<UniqueFd> parent_of(std::string_view member, std::vector<std::string> parts,
                             std::string& last) {
    if (parts.empty()) return unsafe(member, "its name is that of the directory itself");
    last = parts.back();
    if (last == "..") return unsafe(member, "its name leads out of the directory");
    parts.pop_back();
    return walk(member, std::move(parts), true);
  }

  Result<UniqueFd> walk(std::string_view member, std::vector<std::string> parts, bool create) {
    std::vector<UniqueFd> stack;
    stack.emplace_back(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    std::reverse(parts.begin(), parts.end());
    unsigned links = 0;
    while (!parts.empty()) {
      const std::string part = std::move(parts.back());
      parts.pop_back();
      if (part == "..") {
        if (stack.size() == 1) return unsafe(member, "its name leads out of the directory");
        stack.pop_back();
        continue;
      }
      const int here = stack.back().get();
      int fd = ::openat(here, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (fd < 0 && errno == ENOENT && create) {
        if (::mkdirat(here, part.c_str(), 0755) != 0 && errno != EEXIST) return system(member);
        fd = ::openat(here, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      }
      if (fd >= 0) {
        if (stack.size() > 512) {
          ::close(fd);
          return unsafe(member, "it lies more than 512 directories deep");
        }
        stack.emplace_back(fd);
        continue;
      }
      if (errno != ELOOP && errno != ENOTDIR) return system(member);
      char target[4096];
      const ssize_t n = ::readlinkat(here, part.c_str(), target, sizeof target);
      if (n < 0) return unsafe(member, fmt::format("'{}' on the way to it is no directory", part));
      const std::string_view to(target, static_cast<std::size_t>(n));
      if (to.empty() || to.front() == '/' || n == sizeof target) {
        return unsafe(
            member,
            fmt::format("it would be written through the link '{}' to '{}', out of the directory",
                        part, to));
      }
      if (++links > 40) return unsafe(member, "too many links lead to it");
      auto more = split(to);
      parts.insert(parts.end(), more.rbegin(), more.rend());
    }
    return std::move(stack.back());
  }

  Status extract() {
    return each([&](struct archive* a, archive_entry* entry, const std::string& raw) -> Status {
      if (selected_ != nullptr && !selected_->at(place_)) return {};
      const auto name = below_base(raw);
      if (!name) return {};
      const std::vector<std::string> parts = split(*name);
      if (const char* link = archive_entry_hardlink(entry)) {
        return add_link(raw, *name, link, (archive_entry_perm(entry) & 0100) != 0);
      }
      const auto type = archive_entry_filetype(entry);
      if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO || type == AE_IFSOCK) return {};
      if (parts.empty()) return {};  // the directory itself
      std::string last;
      if (type == AE_IFDIR) {
        const UniqueFd made = TRY(walk(raw, parts, true));
        return {};
      }
      auto parent = TRY(parent_of(raw, parts, last));
      CHECK(clear(raw, parent.get(), last));
      if (type == AE_IFLNK) {
        const char* target = archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0')
          return error("bad-archive", raw, "it is a link to nothing");
        if (::symlinkat(target, parent.get(), last.c_str()) != 0) return system(raw);
        return {};
      }
      if (type != AE_IFREG) return error("bad-archive", raw, "it is of an unknown type");
      return write_file(a, entry, raw, parent.get(), last);
    });
  }

  // Extracts as Python's zipfile does: every member is a directory or a file, whatever its mode
  // says, and ".." in names is passed over.
  Status extract_zip() {
    return each([&](struct archive* a, archive_entry* entry, const std::string& raw) -> Status {
      std::size_t cut = base_.size();
      if (options_.strip_first) {
        cut = raw.find('/') + 1;
        if (cut == 0) return {};
      } else if (raw.compare(0, base_.size(), base_) != 0) {
        return {};
      }
      std::vector<std::string> parts = split(std::string_view(raw).substr(cut));
      parts.erase(std::remove(parts.begin(), parts.end(), ".."), parts.end());
      if (raw.back() == '/') {
        const UniqueFd made = TRY(walk(raw, parts, true));
        return {};
      }
      std::string last;
      auto parent = TRY(parent_of(raw, parts, last));
      CHECK(clear(raw, parent.get(), last));
      archive_entry_set_perm(entry, 0644);
      if (archive_entry_filetype(entry) != AE_IFLNK)
        return write_file(a, entry, raw, parent.get(), last);
      const char* target = archive_entry_symlink(entry);
      UniqueFd fd(
          ::openat(parent.get(), last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      if (!fd) return system(raw);
      return write_all(fd.get(), target != nullptr ? target : "");
    });
  }

  // Makes place for a member: what an earlier one put there goes, but no directory.
  Status clear(std::string_view member, int parent, const std::string& name) {
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno == EISDIR || errno == EPERM) return unsafe(member, "it would replace a directory");
    return system(member);
  }

  Status write_file(struct archive* a, archive_entry* entry, std::string_view member, int parent,
                    const std::string& name) {
    const bool executable = (archive_entry_perm(entry) & 0100) != 0;
    UniqueFd fd(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         executable ? 0755 : 0644));
    if (!fd) return system(member);
    ::fchmod(fd.get(), executable ? 0755 : 0644);
    const std::int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (size < 0) return error("bad-archive", member, "its size is negative");
    if (static_cast<std::uint64_t>(size) > options_.max_bytes - bytes_) return too_large(member);
    std::int64_t end = 0;
    for (;;) {
      const void* block = nullptr;
      std::size_t length = 0;
      la_int64_t offset = 0;
      const int code = archive_read_data_block(a, &block, &length, &offset);
      if (code == ARCHIVE_EOF) break;
      // Of a zip archive a wrong checksum is but a warning to libarchive.
      if (code < (kind_ == Kind::kZip ? ARCHIVE_OK : ARCHIVE_WARN)) {
        const char* why = archive_error_string(a);
        return error(
            "bad-archive", member,
            fmt::format("its content can't be read: {}", why != nullptr ? why : "damaged"));
      }
      if (offset < end || static_cast<std::uint64_t>(offset) + length > options_.max_bytes - bytes_)
        return too_large(member);
      std::size_t done = 0;
      while (done < length) {
        const ssize_t n = ::pwrite(fd.get(), static_cast<const char*>(block) + done, length - done,
                                   offset + static_cast<la_int64_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return system(member);
        done += static_cast<std::size_t>(n);
      }
      end = offset + static_cast<std::int64_t>(length);
    }
    if (end > size || (end < size && kind_ == Kind::kZip))
      return error("bad-archive", member,
                   fmt::format("it has {} bytes where its header says {}", end, size));
    // A sparse file ends in a hole.
    if (end < size && ::ftruncate(fd.get(), size) != 0) return system(member);
    bytes_ += static_cast<std::uint64_t>(size);
    return {};
  }

  tl::unexpected<Error> too_large(std::string_view member) const {
    return error("too-large", member,
                 fmt::format("with it the archive holds more than {} bytes", options_.max_bytes));
  }

  // Makes a hard link. `executable` is what the link's own header says, which holds for all names
  // of the file, as in BuildStream.
  Status add_link(const std::string& member, const std::string& name, std::string_view raw_target,
                  bool executable) {
    std::string target(raw_target);
    if (!target.empty() && target.front() == '/')
      return unsafe(member, fmt::format("it is a hard link to the absolute path '{}'", target));
    if (!base_.empty() && target.compare(0, 2, "./") == 0) target.erase(0, 2);
    const std::string original = target;
    if (!base_.empty() && target.compare(0, base_.size(), base_) == 0)
      target.erase(0, base_.size());
    if (options_.strip_first) target.erase(0, target.find('/') + 1);
    std::string last, link_last;
    auto parent = TRY(parent_of(member, split(name), last));
    const auto parts = split(target);
    // A target out of the directory is refused even where nothing is: an archive has no business
    // there.
    int depth = 0;
    for (const auto& part : parts) {
      depth += part == ".." ? -1 : 1;
      if (depth < 0)
        return unsafe(member,
                      fmt::format("it is a hard link to '{}', out of the directory", raw_target));
    }
    if (parts.empty() || parts.back() == "..")
      return unsafe(member, fmt::format("it is a hard link to '{}', a directory", raw_target));
    std::vector<std::string> way(parts.begin(), parts.end() - 1);
    auto holder = walk(member, way, false);
    struct stat info {};
    if (holder && ::fstatat(holder->get(), parts.back().c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(info.st_mode))
        return unsafe(member, fmt::format("it is a hard link to '{}', a directory", raw_target));
      struct stat own {};
      if (::fstatat(parent.get(), last.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0 &&
          own.st_ino == info.st_ino) {
        return set_mode(member, parent.get(), last, executable);
      }
      CHECK(clear(member, parent.get(), last));
      if (::linkat(holder->get(), parts.back().c_str(), parent.get(), last.c_str(), 0) != 0)
        return system(member);
      return set_mode(member, parent.get(), last, executable);
    }
    if (!holder && holder.error().reason == "unsafe-member") return forward(holder);
    // The link's target is in the archive, but not among what is extracted.
    pending_[plain(original)].push_back({member, name, executable});
    return {};
  }

  // Sets the mode of a regular file; anything else keeps what it has.
  Status set_mode(std::string_view member, int parent, const std::string& name, bool executable) {
    struct stat info {};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return system(member);
    if (!S_ISREG(info.st_mode) || ((info.st_mode & 0100) != 0) == executable) return {};
    if (::fchmodat(parent, name.c_str(), executable ? 0755 : 0644, 0) != 0) return system(member);
    return {};
  }

  struct Pending {
    std::string member;
    std::string name;
    bool executable = false;
  };

  Status resolve_links() {
    if (pending_.empty()) return {};
    auto done =
        each([&](struct archive* a, archive_entry* entry, const std::string& raw) -> Status {
          const auto found = pending_.find(plain(raw));
          if (found == pending_.end() || archive_entry_hardlink(entry) != nullptr ||
              archive_entry_filetype(entry) != AE_IFREG)
            return {};
          const std::vector<Pending> waiting = std::move(found->second);
          pending_.erase(found);
          UniqueFd first_parent;
          std::string first;
          for (const Pending& link : waiting) {
            std::string last;
            auto parent = TRY(parent_of(link.member, split(link.name), last));
            CHECK(clear(link.member, parent.get(), last));
            if (!first_parent) {
              CHECK(write_file(a, entry, link.member, parent.get(), last));
              CHECK(set_mode(link.member, parent.get(), last, link.executable));
              first_parent = std::move(parent);
              first = last;
            } else if (::linkat(first_parent.get(), first.c_str(), parent.get(), last.c_str(), 0) !=
                       0) {
              return system(link.member);
            }
            CHECK(set_mode(link.member, first_parent.get(), first, link.executable));
          }
          return {};
        });
    if (!done) return done;
    if (pending_.empty()) return {};
    const auto& [target, waiting] = *pending_.begin();
    return error("bad-archive", waiting.front().member,
                 fmt::format("it is a hard link to '{}', which is no file of the archive", target));
  }

  const Kind kind_;
  const std::string& archive_;
  const UnpackOptions& options_;
  const std::vector<bool>* selected_;
  std::uint64_t place_ = 0;  // of the member that is visited
  UniqueFd root_;
  std::string base_;  // the base directory with a slash at its end; "" for all
  std::uint64_t bytes_;
  std::unordered_map<std::string, std::vector<Pending>> pending_;
};

void prepare() {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  ::umask(022);
}

}  // namespace

Status unpack_tar(const std::string& archive, const std::string& directory,
                  const UnpackOptions& options) {
  prepare();
  return Unpacker(Kind::kTar, archive, options).run(directory);
}

Status unpack_zip(const std::string& archive, const std::string& directory,
                  const UnpackOptions& options) {
  prepare();
  return Unpacker(Kind::kZip, archive, options).run(directory);
}

Result<std::vector<TarMember>> list_layer(const std::string& archive,
                                          const UnpackOptions& options) {
  prepare();
  return Unpacker(Kind::kLayer, archive, options).list();
}

Result<std::uint64_t> unpack_layer(const std::string& archive, const std::string& directory,
                                   const UnpackOptions& options, const std::vector<bool>& selected,
                                   std::uint64_t bytes) {
  prepare();
  Unpacker unpacker(Kind::kLayer, archive, options, &selected, bytes);
  CHECK(unpacker.run(directory));
  return unpacker.bytes();
}

}  // namespace sluice::jobs
