#include "loader/cache/local_cache.h"

#include <array>
#include <string_view>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "store/look.h"

namespace sluice::loader {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
// Trees beyond which only those that this load has used stay in the file.
constexpr std::size_t kMany = 10'000;
constexpr std::uint64_t kMostTableBytes = std::uint64_t{512} << 20;
// Files of a tree below which it is read as fast as what is known of them.
constexpr std::size_t kFewFiles = 64;

constexpr std::size_t kHash = 32;

using PackedStamp = std::array<std::uint64_t, 6>;

PackedStamp packed(const FileStamp& stamp) {
  return {stamp.device,
          stamp.inode,
          stamp.size,
          static_cast<std::uint64_t>(stamp.mtime_ns),
          static_cast<std::uint64_t>(stamp.ctime_ns),
          stamp.mode};
}

std::string_view bytes_of(const PackedStamp& stamp) {
  return {reinterpret_cast<const char*>(stamp.data()), sizeof stamp};
}

// The digests of a tree's files, by their names and stamps, as an earlier load left them and as
// this one will.
//
//   the tree's digest: hash, text; size, 8 bytes
//   of each folder: its path, text | how many files, 4 bytes | its files, sorted by name
//   of each file: name, text | stamp | SHA-256, 32 bytes
class FileTable : public KnownFiles {
 public:
  FileTable(const KeptFiles& files, std::string name, const store::LookedTree& looked,
            std::int64_t began_ns)
      : files_(files), name_(std::move(name)), looked_(looked), began_ns_(began_ns) {
    if (looked.files < kFewFiles) return;
    if (auto kept = files_.read(name_)) old_ = std::move(*kept);
    read_old();
  }

  const store::LookedTree& looked() const override { return looked_; }
  const std::optional<model::Digest>& earlier() const override { return earlier_; }

  void find(const std::string& folder, const store::LookedFolder& in,
            std::vector<store::FileNode>& files) override {
    const auto found = folders_.find(folder);
    if (found == folders_.end()) return;
    KeptReader rows(found->second.rows);
    auto file = files.begin();
    auto entry = in.entries.begin();
    for (std::uint64_t i = 0; i < found->second.count; ++i) {
      const std::string_view name = rows.text();
      const std::string_view stamp = rows.bytes(sizeof(PackedStamp));
      const std::string_view hash = rows.bytes(kHash);
      while (file != files.end() && file->name < name) ++file;
      if (file == files.end()) return;
      if (file->name != name) continue;
      while (entry != in.entries.end() && entry->name < name) ++entry;
      if (entry == in.entries.end()) return;
      if (entry->name == name && bytes_of(packed(entry->stamp)) == stamp)
        file->digest = {to_hex(hash), static_cast<std::int64_t>(entry->stamp.size)};
    }
  }

  void keep(const std::string& folder, const store::LookedFolder& in,
            const std::vector<store::FileNode>& files) override {
    if (looked_.files < kFewFiles) return;
    rows_.clear();
    std::uint64_t count = 0;
    auto entry = in.entries.begin();
    for (const store::FileNode& file : files) {
      while (entry != in.entries.end() && entry->name < file.name) ++entry;
      if (entry == in.entries.end()) break;
      // A file that is not as long as it looked has changed since.
      if (entry->name != file.name || !entry->stamp.settled(began_ns_) ||
          static_cast<std::uint64_t>(file.digest.size) != entry->stamp.size)
        continue;
      kept_text(rows_, file.name);
      rows_ += bytes_of(packed(entry->stamp));
      append_bytes(rows_, file.digest.hash);
      ++count;
    }
    if (count == 0) return;
    kept_text(new_, folder);
    kept_number(new_, count, 4);
    new_ += rows_;
  }

  void save(const model::Digest& tree) {
    if (new_.empty()) return;
    std::string head;
    kept_text(head, tree.hash);
    kept_number(head, static_cast<std::uint64_t>(tree.size), 8);
    if (old_.size() != head.size() + new_.size() || !old_.starts_with(head) ||
        !old_.ends_with(new_))
      files_.write(name_, head, new_);
  }

 private:
  struct Rows {
    std::uint64_t count = 0;
    std::string_view rows;
  };

  // Reads the table of an earlier load. Of one that ends early nothing is taken, since any part may
  // be wrong then.
  void read_old() {
    KeptReader reader(old_);
    model::Digest tree;
    tree.hash = reader.text();
    tree.size = static_cast<std::int64_t>(reader.number(8));
    while (reader.good() && !reader.rest().empty()) {
      const std::string_view folder = reader.text();
      const std::uint64_t count = reader.number(4);
      const char* const begin = reader.rest().data();
      for (std::uint64_t i = 0; i < count && reader.good(); ++i) {
        reader.text();
        reader.bytes(sizeof(PackedStamp) + kHash);
      }
      if (reader.good())
        folders_[folder] = {count, {begin, static_cast<std::size_t>(reader.rest().data() - begin)}};
    }
    if (!reader.good() || !store::valid_digest(tree)) {
      folders_.clear();
    } else {
      earlier_ = std::move(tree);
    }
  }

  static std::string to_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    hex.reserve(2 * bytes.size());
    for (const char byte : bytes) {
      hex += kDigits[static_cast<unsigned char>(byte) >> 4];
      hex += kDigits[static_cast<unsigned char>(byte) & 15];
    }
    return hex;
  }

  static void append_bytes(std::string& out, std::string_view hex) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }

  const KeptFiles& files_;
  const std::string name_;
  const store::LookedTree& looked_;
  const std::int64_t began_ns_;
  std::string old_;
  std::optional<model::Digest> earlier_;
  std::unordered_map<std::string_view, Rows> folders_;  // in old_
  std::string new_, rows_;
};

}  // namespace

LocalCache::LocalCache(std::string_view directory, const Clock& clock)
    : files_("locals", kMostBytes), tables_("local-files", kMostTableBytes),
      name_(sha256_hex(directory)), clock_(clock) {}

void LocalCache::load() {
  loaded_ = true;
  const auto kept = files_.read(name_);
  if (!kept) return;
  KeptReader reader(*kept);
  while (reader.good() && !reader.rest().empty()) {
    const std::string path(reader.text());
    Known known;
    known.looks = reader.text();
    known.digest.hash = reader.text();
    known.digest.size = static_cast<std::int64_t>(reader.number(8));
    if (reader.good()) known_.emplace(path, std::move(known));
  }
}

Result<model::Digest> LocalCache::digest(const std::string& path,
                                         const std::function<bool(const model::Digest&)>& usable,
                                         const Make& make) {
  const std::int64_t began_ns = clock_.wall_ns();
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)))
    return make(nullptr);
  std::optional<store::LookedTree> tree;
  std::string looks;
  std::int64_t settles_ns = 0;
  if (S_ISDIR(info.st_mode)) {
    auto looked = store::look_at(path);
    if (!looked) return make(nullptr);
    looks = looked->sha256();
    settles_ns = looked->settles_ns;
    tree.emplace(std::move(*looked));
  } else {
    const FileStamp stamp = FileStamp::of(info);
    looks = bytes_of(packed(stamp));
    // Whether this process may execute a file goes into its digest.
    looks += ::access(path.c_str(), X_OK) == 0 ? "x" : "-";
    settles_ns = stamp.settles_ns();
  }
  std::optional<model::Digest> same;
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) load();
    const auto known = known_.find(path);
    if (known != known_.end() && known->second.looks == looks) {
      known->second.used = true;
      same = known->second.digest;
    }
  }
  if (same && usable(*same)) return *same;
  auto made = tree ? by_files(path, *tree, began_ns, make) : make(nullptr);
  // A change since the looks were taken shows in the looks of the next load.
  if (!made || settles_ns >= began_ns) return made;
  const std::lock_guard lock(mutex_);
  known_[path] = {looks, *made, true};
  added_ = true;
  return made;
}

Result<model::Digest> LocalCache::by_files(const std::string& path, const Make& make) {
  const std::int64_t began_ns = clock_.wall_ns();
  auto tree = store::look_at(path);
  return tree ? by_files(path, *tree, began_ns, make) : make(nullptr);
}

Result<model::Digest> LocalCache::by_files(const std::string& path, const store::LookedTree& looked,
                                           std::int64_t began_ns, const Make& make) {
  FileTable table(tables_, sha256_hex(name_ + path), looked, began_ns);
  auto made = make(&table);
  if (made) table.save(*made);
  return made;
}

void LocalCache::save() {
  const std::lock_guard lock(mutex_);
  if (!added_) return;
  std::string all;
  for (const auto& [path, known] : known_) {
    if (known_.size() > kMany && !known.used) continue;
    kept_text(all, path);
    kept_text(all, known.looks);
    kept_text(all, known.digest.hash);
    kept_number(all, static_cast<std::uint64_t>(known.digest.size), 8);
  }
  files_.write(name_, all);
  added_ = false;
}

}  // namespace sluice::loader
