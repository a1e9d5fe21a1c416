#include "store/tree_diff.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include <unistd.h>

#include <elf.h>
#include <fmt/format.h>

#include "base/try.h"
#include "store/directory.h"
#include "store/measure.h"

namespace sluice::store {

namespace {

class TreeDiffer {
 public:
  TreeDiffer(const Cas& cas, const VisitChange& visit) : cas_(cas), visit_(visit) {}

  Status compare(const std::string& path, const Digest& before, const Digest& after,
                 unsigned depth = 0) {
    if (before == after) return {};
    if (depth > kMaxDepth)
      return fail("virtual-fs", "too-deep",
                  fmt::format("{}: more than {} directories deep", path, kMaxDepth));
    auto old = TRY(open(before));
    auto now = TRY(open(after));
    if (path.empty()) CHECK(compare_root(before, after, old, now));
    using Pair = std::pair<const DiffedEntry*, const DiffedEntry*>;
    const auto was = entries(old);
    const auto is = entries(now);
    std::map<std::string_view, Pair> names;
    for (const auto& [name, entry] : was) names[name].first = &entry;
    for (const auto& [name, entry] : is) names[name].second = &entry;
    for (const auto& [name, pair] : names) {
      CHECK(compare_entries((path.empty() ? "" : path + "/") + std::string(name), pair.first,
                            pair.second, depth));
    }
    return {};
  }

 private:
  Result<Directory> open(const Digest& digest) const {
    if (digest.empty() || digest == empty_digest()) return Directory{};
    return read_directory(cas_, digest);
  }

  static DiffedEntry of_directory(const Digest& digest, const Directory& directory) {
    DiffedEntry entry;
    entry.type = EntryType::kDirectory;
    entry.digest = digest;
    entry.mtime = directory.mtime;
    entry.subtree_read_only = directory.subtree_read_only;
    return entry;
  }

  static std::vector<std::pair<std::string, DiffedEntry>> entries(const Directory& directory) {
    std::vector<std::pair<std::string, DiffedEntry>> out;
    for (const FileNode& file : directory.files) {
      DiffedEntry entry;
      entry.digest = file.digest;
      entry.executable = file.executable;
      entry.mtime = file.mtime;
      out.emplace_back(file.name, std::move(entry));
    }
    for (const SymlinkNode& link : directory.symlinks) {
      DiffedEntry entry;
      entry.type = EntryType::kSymlink;
      entry.target = link.target;
      out.emplace_back(link.name, std::move(entry));
    }
    for (const DirectoryNode& sub : directory.directories) {
      DiffedEntry entry;
      entry.type = EntryType::kDirectory;
      entry.digest = sub.digest;
      out.emplace_back(sub.name, std::move(entry));
    }
    return out;
  }

  // The root has no entry of its own: what its message says besides its entries is told of "".
  Status compare_root(const Digest& before, const Digest& after, const Directory& old,
                      const Directory& now) {
    TreeChange change{"", of_directory(before, old), of_directory(after, now)};
    return change.aspects().empty() ? Status{} : visit_(change);
  }

  Status compare_entries(const std::string& path, const DiffedEntry* before,
                         const DiffedEntry* after, unsigned depth) {
    TreeChange change{path, {}, {}};
    if (before != nullptr) change.before = *before;
    if (after != nullptr) change.after = *after;
    const auto is_directory = [](const std::optional<DiffedEntry>& entry) {
      return entry && entry->type == EntryType::kDirectory;
    };
    // What a directory's message says of itself is known when it is read, which the same needn't
    // be.
    if (before != nullptr && after != nullptr && before->digest == after->digest &&
        is_directory(change.before) && is_directory(change.after))
      return {};
    for (auto* entry : {&change.before, &change.after}) {
      if (!is_directory(*entry)) continue;
      const auto directory = TRY(open((*entry)->digest));
      **entry = of_directory((*entry)->digest, directory);
    }
    if (!change.before || !change.after || !change.aspects().empty()) CHECK(visit_(change));
    const Digest none;
    const bool old = is_directory(change.before);
    const bool now = is_directory(change.after);
    if (!old && !now) return {};
    return compare(path, old ? change.before->digest : none, now ? change.after->digest : none,
                   depth + 1);
  }

  const Cas& cas_;
  const VisitChange& visit_;
};

// Reads two blobs side by side, a part at a time.
class Pair {
 public:
  Pair(UniqueFd before, UniqueFd after) : fds_{std::move(before), std::move(after)} {}

  // Fills both parts from the same offset on; they are shorter at the files' ends alone.
  Status next() {
    for (int i : {0, 1}) {
      auto& part = parts_[i];
      part.resize(kPart);
      std::size_t have = 0;
      while (have < kPart) {
        const ssize_t n = ::pread(fds_[i].get(), part.data() + have, kPart - have,
                                  static_cast<off_t>(offset_ + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read");
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
      }
      part.resize(have);
    }
    offset_ += kPart;
    return {};
  }
  const std::string& part(int i) const { return parts_[i]; }
  int fd(int i) const { return fds_[i].get(); }

  static constexpr std::size_t kPart = std::size_t{256} << 10;

 private:
  UniqueFd fds_[2];
  std::string parts_[2];
  std::size_t offset_ = 0;
};

bool read_at(int fd, std::uint64_t offset, void* to, std::size_t size) {
  if (offset > static_cast<std::uint64_t>(INT64_MAX)) return false;
  return ::pread(fd, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

// The section of an ELF file of this machine's class and byte order that holds a byte; "" when it
// is none, or isn't one.
std::string elf_section(int fd, std::int64_t at) {
  constexpr std::size_t kMostSections = 4096;
  const auto offset = static_cast<std::uint64_t>(at);
  Elf64_Ehdr header{};
  if (!read_at(fd, 0, &header, sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_shnum > kMostSections || header.e_shstrndx >= header.e_shnum)
    return {};
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!read_at(fd, header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr)))
    return {};
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type == SHT_NOBITS || offset < section.sh_offset ||
        offset - section.sh_offset >= section.sh_size)
      continue;
    char name[64] = {};
    const std::uint64_t names = sections[header.e_shstrndx].sh_offset;
    for (std::size_t i = 0; i + 1 < sizeof name; ++i) {
      if (!read_at(fd, names + section.sh_name + i, name + i, 1)) return {};
      if (name[i] == '\0') break;
    }
    return name;
  }
  return {};
}

// The name in the header of the member of an `ar` archive that holds a byte.
std::string archive_member(int fd, std::int64_t at) {
  constexpr std::int64_t kHeader = 60;
  char magic[8];
  if (!read_at(fd, 0, magic, sizeof magic) || std::memcmp(magic, "!<arch>\n", 8) != 0) return {};
  for (std::int64_t offset = 8; offset <= at;) {
    char header[kHeader];
    if (!read_at(fd, static_cast<std::uint64_t>(offset), header, sizeof header)) return {};
    std::int64_t size = 0;
    for (int i = 48; i < 58 && header[i] >= '0' && header[i] <= '9'; ++i)
      size = size * 10 + (header[i] - '0');
    if (at < offset + kHeader + size) {
      std::string name(header, 16);
      name.erase(name.find_last_not_of(" /") + 1);
      return fmt::format("{} of its member '{}'",
                         at < offset + kHeader ? "the header" : "the bytes", name);
    }
    offset += kHeader + size + (size & 1);
  }
  return {};
}

std::string place_of(int fd, std::int64_t offset) {
  unsigned char magic[4] = {};
  if (!read_at(fd, 0, magic, sizeof magic)) return {};
  if (magic[0] == 0x1f && magic[1] == 0x8b && offset >= 4 && offset < 8)
    return "the time in its gzip header";
  if (const std::string section = elf_section(fd, offset); !section.empty())
    return fmt::format("section {}", section);
  return archive_member(fd, offset);
}

std::string_view word_for(EntryType type) {
  switch (type) {
    case EntryType::kFile: return "file";
    case EntryType::kDirectory: return "directory";
    case EntryType::kSymlink: return "link";
  }
  return "?";
}

std::string_view mode_of(const Entry& entry) { return entry.executable ? "0755" : "0644"; }

std::string described(const DiffedEntry& entry) {
  switch (entry.type) {
    case EntryType::kDirectory: return "directory";
    case EntryType::kSymlink: return fmt::format("link to {}", entry.target);
    case EntryType::kFile: break;
  }
  return fmt::format("file{}, {} bytes", entry.executable ? " that can be executed" : "",
                     entry.digest.size);
}

std::string content_text(const Cas& cas, const Digest& before, const Digest& after) {
  const std::string sizes = before.size == after.size
                                ? fmt::format("{} bytes", after.size)
                                : fmt::format("{} -> {} bytes", before.size, after.size);
  const auto difference = first_difference(cas, before, after);
  if (!difference) return fmt::format("content, {}", sizes);
  std::string where;
  if (difference->line != 0) where = fmt::format("line {}", difference->line);
  if (!difference->place.empty()) where += (where.empty() ? "" : ", ") + difference->place;
  return fmt::format("content from byte {}{} on, {}", difference->offset,
                     where.empty() ? "" : " (" + where + ")", sizes);
}

std::string time_text(const std::optional<Timestamp>& time) {
  return time ? fmt::format("{}.{:09}", time->seconds, time->nanos) : "none";
}

}  // namespace

std::vector<std::string_view> TreeChange::aspects() const {
  if (!before || !after) return {};
  if (before->type != after->type) return {"type"};
  std::vector<std::string_view> out;
  const EntryType type = after->type;
  if (type == EntryType::kFile && before->executable != after->executable) out.emplace_back("mode");
  if (before->target != after->target) out.emplace_back("target");
  if (type == EntryType::kFile && before->digest != after->digest) out.emplace_back("content");
  if (before->mtime != after->mtime) out.emplace_back("time");
  if (before->subtree_read_only != after->subtree_read_only) out.emplace_back("read-only");
  return out;
}

Status diff_trees(const Cas& cas, const Digest& before, const Digest& after,
                  const VisitChange& visit) {
  if (before == after) return {};
  for (const Digest* root : {&before, &after}) {
    if (!root->empty()) CHECK(check_unfolded(cas, *root));
  }
  return TreeDiffer(cas, visit).compare("", before, after);
}

Result<ContentDifference> first_difference(const Cas& cas, const Digest& before,
                                           const Digest& after) {
  auto old = TRY(cas.open_blob(before));
  auto now = TRY(cas.open_blob(after));
  Pair pair(std::move(old), std::move(now));
  ContentDifference out;
  bool text = true;
  std::int64_t newlines = 0;
  for (;;) {
    CHECK(pair.next());
    const std::string& a = pair.part(0);
    const std::string& b = pair.part(1);
    const std::size_t both = std::min(a.size(), b.size());
    const auto at = static_cast<std::size_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(both), b.begin()).first -
        a.begin());
    // The rest of the part tells a binary file whose beginning happens to be text.
    text = text && a.find('\0') == std::string::npos && b.find('\0') == std::string::npos;
    newlines += std::count(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    out.offset += static_cast<std::int64_t>(at);
    if (at < both || a.size() != b.size() || both < Pair::kPart) break;
  }
  if (text)
    out.line = newlines + 1;
  else
    out.place = place_of(pair.fd(0), out.offset);
  return out;
}

std::string text_of(const Cas& cas, const TreeChange& change) {
  const std::string& path = change.path.empty() ? std::string(".") : change.path;
  if (!change.before) return fmt::format("+ {}: {}", path, described(*change.after));
  if (!change.after) return fmt::format("- {}: {}", path, described(*change.before));
  std::string what;
  const auto add = [&](std::string text) { what += (what.empty() ? "" : "; ") + text; };
  for (const std::string_view aspect : change.aspects()) {
    if (aspect == "type") {
      add(fmt::format("{} -> {}", described(*change.before), described(*change.after)));
    } else if (aspect == "mode") {
      add(fmt::format("mode {} -> {}", mode_of(*change.before), mode_of(*change.after)));
    } else if (aspect == "target") {
      add(fmt::format("{} to {} -> {}", word_for(change.after->type), change.before->target,
                      change.after->target));
    } else if (aspect == "content") {
      add(content_text(cas, change.before->digest, change.after->digest));
    } else if (aspect == "time") {
      add(fmt::format("time {} -> {}", time_text(change.before->mtime),
                      time_text(change.after->mtime)));
    } else {
      const auto said = [](const std::optional<bool>& it) {
        return !it ? "not said" : *it ? "yes" : "no";
      };
      add(fmt::format("read-only: {} -> {}", said(change.before->subtree_read_only),
                      said(change.after->subtree_read_only)));
    }
  }
  return fmt::format("~ {}: {}", path, what);
}

}  // namespace sluice::store
