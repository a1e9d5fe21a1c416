#include "cli/tar.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <unistd.h>

// Libarchive is included here and nowhere else in cli/.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "store/directory.h"
#include "store/measure.h"

namespace sluice::cli {

namespace {

struct FreeArchive {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

std::string extension(std::string_view name) {
  const auto slash = name.find_last_of('/');
  const std::string_view base = slash == std::string_view::npos ? name : name.substr(slash + 1);
  const auto dot = base.find_last_of('.');
  // As Python's splitext(): leading dots start no extension.
  if (dot == std::string_view::npos || base.find_first_not_of('.') > dot) return "";
  return std::string(base.substr(dot));
}

// The error, with the system's own reason where there is one.
tl::unexpected<Error> not_written(archive* out) {
  const char* text = archive_error_string(out);
  const int cause = archive_errno(out);
  return fail(
      "util", "archive",
      fmt::format("cannot write the archive: {}{}", text != nullptr ? text : "unknown error",
                  cause > 0 ? fmt::format(" ({})", std::strerror(cause)) : ""));
}

class TarWriter {
 public:
  TarWriter(store::Cas& cas, archive* out) : cas_(cas), out_(out), entry_(archive_entry_new()) {}

  Status directory(const store::Digest& digest, const std::string& prefix, unsigned depth) {
    if (depth > store::kMaxDepth)
      return fail("virtual-fs", "too-deep", prefix + ": too many directories in one another");
    auto content = TRY(store::read_directory(cas_, digest));
    // An entry of any kind, for one list of all by name.
    struct Item {
      const std::string* name;
      const store::FileNode* file = nullptr;
      const store::DirectoryNode* directory = nullptr;
      const store::SymlinkNode* symlink = nullptr;
    };
    std::vector<Item> items;
    for (const auto& node : content.files) items.push_back({&node.name, &node});
    for (const auto& node : content.directories) items.push_back({&node.name, nullptr, &node});
    for (const auto& node : content.symlinks)
      items.push_back({&node.name, nullptr, nullptr, &node});
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return *a.name < *b.name; });
    for (const Item& item : items) {
      const std::string path = prefix.empty() ? *item.name : prefix + "/" + *item.name;
      Status done;
      if (item.file != nullptr) {
        done = file(path, *item.file);
      } else if (item.symlink != nullptr) {
        done = header(path, AE_IFLNK, 0777, 0, item.symlink->target);
      } else {
        done = header(path, AE_IFDIR, 0755, 0, {});
        if (done) done = directory(item.directory->digest, path, depth + 1);
      }
      if (!done) return done;
    }
    return {};
  }

 private:
  tl::unexpected<Error> failed() const { return not_written(out_); }

  Status header(const std::string& path, unsigned type, unsigned mode, std::int64_t size,
                const std::string& target) {
    archive_entry* entry = entry_.get();
    archive_entry_clear(entry);
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, static_cast<mode_t>(mode));
    archive_entry_set_size(entry, size);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_mtime(entry, store::kFixedMtime, 0);
    if (type == AE_IFLNK) archive_entry_set_symlink(entry, target.c_str());
    if (archive_write_header(out_, entry) < ARCHIVE_WARN) return failed();
    return {};
  }

  Status file(const std::string& path, const store::FileNode& node) {
    CHECK(header(path, AE_IFREG, node.executable ? 0755 : 0644, node.digest.size, {}));
    const auto write = [&](std::string_view part) -> Status {
      if (archive_write_data(out_, part.data(), part.size()) !=
          static_cast<la_ssize_t>(part.size()))
        return failed();
      return {};
    };
    constexpr std::int64_t kPart = std::int64_t{1} << 18;
    if (node.digest.size <= kPart) {
      auto verified = TRY(cas_.read(node.digest));
      return write(verified);
    }
    auto blob = TRY(cas_.open_blob(node.digest));
    if (buffer_.empty()) buffer_.resize(kPart);
    Sha256 sum;
    for (;;) {
      const ssize_t n = ::read(blob.get(), buffer_.data(), buffer_.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno(errno, path);
      if (n == 0) break;
      const std::string_view part(buffer_.data(), static_cast<std::size_t>(n));
      sum.update(part);
      CHECK(write(part));
    }
    if (sum.hex() == node.digest.hash) return {};
    static_cast<void>(cas_.remove(node.digest));
    return fail(
        "cas", "missing-blob",
        fmt::format("Blob {} was damaged in the store and has been removed", node.digest.hash));
  }

  store::Cas& cas_;
  archive* out_;
  std::unique_ptr<archive_entry, FreeEntry> entry_;
  std::vector<char> buffer_;
};

}  // namespace

Result<std::string> compression_of(const std::string& name) {
  const std::string end = extension(name);
  if (end == ".gz" || end == ".xz" || end == ".bz2") return end.substr(1);
  if (end.empty() || end == ".tar") return "";
  if (extension(std::string_view(name).substr(0, name.size() - end.size())) != ".tar") return "";
  return fail("util", "",
              fmt::format("ERROR: Invalid file extension given with '--tar': Expected compression "
                          "with unknown file extension ('{}'), "
                          "supported extensions are ('.tar'), ('.gz'), ('.xz'), ('.bz2')",
                          end));
}

Status write_tar(store::Cas& cas, const store::Digest& root, int fd, const std::string& compression,
                 const std::string& top) {
  std::unique_ptr<archive, FreeArchive> out(archive_write_new());
  if (!out) return fail("util", "enomem", "cannot write the archive: out of memory");
  archive_write_set_format_pax_restricted(out.get());
  int filter = ARCHIVE_OK;
  if (compression == "gz") {
    filter = archive_write_add_filter_gzip(out.get());
    archive_write_set_filter_option(out.get(), "gzip", "timestamp", nullptr);
  } else if (compression == "xz") {
    filter = archive_write_add_filter_xz(out.get());
  } else if (compression == "bz2") {
    filter = archive_write_add_filter_bzip2(out.get());
  }
  if (filter != ARCHIVE_OK)
    return fail("util", "archive",
                fmt::format("libarchive was built without support of {}", compression));
  if (archive_write_open_fd(out.get(), fd) != ARCHIVE_OK)
    return fail("util", "archive", "cannot write the archive");
  CHECK(store::check_unfolded(cas, root));
  TarWriter writer(cas, out.get());
  CHECK(writer.directory(root, top, 0));
  if (archive_write_close(out.get()) != ARCHIVE_OK) {
    return not_written(out.get());
  }
  return {};
}

}  // namespace sluice::cli
