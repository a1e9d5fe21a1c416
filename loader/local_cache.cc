#include "loader/local_cache.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "loader/inputs.h"

namespace sluice::loader {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
// Beyond this only what this load has used stays.
constexpr std::size_t kMany = 10'000;
constexpr std::uint64_t kMostTableBytes = std::uint64_t{512} << 20;
// A tree of fewer files is read as fast as what is known of them.
constexpr std::size_t kFewFiles = 64;

void add(Sha256& hash, Fingerprint& found, std::string_view name, const struct stat& info) {
  const FileStamp stamp = FileStamp::of(info);
  std::string text;
  kept_text(text, name);
  for (const std::uint64_t part : {stamp.device, stamp.inode, stamp.size, static_cast<std::uint64_t>(stamp.mtime_ns),
                                   static_cast<std::uint64_t>(stamp.ctime_ns)}) {
    kept_number(text, part, 8);
  }
  kept_number(text, stamp.mode, 4);
  hash.update(text);
  found.latest_ns = std::max({found.latest_ns, stamp.mtime_ns, stamp.ctime_ns});
}

// How a file looks, with its place in the tree: one name for both, since no two looks are alike.
using Look = std::array<char, 32>;

Look look_of(const std::string& folder, const std::string& name, const struct stat& info) {
  Sha256 hash;
  std::string text;
  kept_text(text, folder);
  kept_text(text, name);
  const FileStamp stamp = FileStamp::of(info);
  for (const std::uint64_t part : {stamp.device, stamp.inode, stamp.size, static_cast<std::uint64_t>(stamp.mtime_ns),
                                   static_cast<std::uint64_t>(stamp.ctime_ns), std::uint64_t{stamp.mode}}) {
    kept_number(text, part, 8);
  }
  hash.update(text);
  // Half of it is enough to tell looks apart.
  Look look;
  std::memcpy(look.data(), hash.hex().data(), look.size());
  return look;
}

// The digests of a tree's files by their looks, as an earlier load left them and as this one will. In the file: looks
// and hashes in a row, sorted.
class FileTable : public store::FileDigests {
 public:
  FileTable(const KeptFiles& files, std::string name, std::int64_t began_ns) : files_(files), name_(std::move(name)), began_ns_(began_ns) {
    if (auto kept = files_.read(name_); kept && kept->size() % sizeof(Row) == 0) old_ = std::move(*kept);
  }

  std::optional<model::Digest> find(const std::string& folder, const std::string& name, const struct stat& info) override {
    const Row* const begin = reinterpret_cast<const Row*>(old_.data());
    const Row* const end = begin + old_.size() / sizeof(Row);
    const Look look = look_of(folder, name, info);
    const Row* const found = std::lower_bound(begin, end, look, [](const Row& row, const Look& wanted) { return row.look < wanted; });
    if (found == end || found->look != look) return std::nullopt;
    const std::lock_guard lock(mutex_);
    rows_.push_back(*found);
    return model::Digest{std::string(found->hash.data(), found->hash.size()), info.st_size};
  }

  void add(const std::string& folder, const std::string& name, const struct stat& info, const model::Digest& digest) override {
    // One that is not as long as it looked has changed since.
    if (!FileStamp::of(info).settled(began_ns_) || digest.size != info.st_size || digest.hash.size() != sizeof(Row::hash)) return;
    Row row;
    row.look = look_of(folder, name, info);
    std::memcpy(row.hash.data(), digest.hash.data(), row.hash.size());
    const std::lock_guard lock(mutex_);
    rows_.push_back(row);
    added_ = true;
  }

  void save() {
    if (rows_.size() < kFewFiles || (!added_ && rows_.size() * sizeof(Row) == old_.size())) return;
    std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.look < b.look; });
    files_.write(name_, {reinterpret_cast<const char*>(rows_.data()), rows_.size() * sizeof(Row)});
  }

 private:
  struct Row {
    Look look;
    std::array<char, 64> hash;
  };
  static_assert(sizeof(Row) == 96 && alignof(Row) == 1);

  const KeptFiles& files_;
  std::string name_;
  std::int64_t began_ns_;
  std::string old_;
  std::mutex mutex_;  // of what is below
  std::vector<Row> rows_;
  bool added_ = false;
};

}  // namespace

std::optional<Fingerprint> fingerprint(const std::string& path) {
  Fingerprint found;
  Sha256 hash;
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))) return std::nullopt;
  add(hash, found, "", info);
  // Whether this process may execute a file goes into its digest.
  if (S_ISREG(info.st_mode)) hash.update(::access(path.c_str(), X_OK) == 0 ? "x" : "-");
  std::vector<std::string> pending;  // directories
  if (S_ISDIR(info.st_mode)) pending.push_back(path);
  while (!pending.empty()) {
    const std::string directory = std::move(pending.back());
    pending.pop_back();
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
    if (stream == nullptr) return std::nullopt;
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return std::nullopt;
    std::sort(names.begin(), names.end());
    const std::size_t first = pending.size();
    for (const std::string& name : names) {
      if (::fstatat(::dirfd(stream.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
      add(hash, found, name, info);
      if (S_ISDIR(info.st_mode)) pending.push_back(directory + "/" + name);
    }
    hash.update("/");
    std::reverse(pending.begin() + static_cast<std::ptrdiff_t>(first), pending.end());
  }
  found.sha256 = hash.hex();
  return found;
}

LocalCache::LocalCache(std::string_view directory, const Clock& clock)
    : files_("locals", kMostBytes), tables_("local-files", kMostTableBytes), name_(sha256_hex(directory)), clock_(clock) {}

void LocalCache::load() {
  loaded_ = true;
  const auto kept = files_.read(name_);
  if (!kept) return;
  KeptReader reader(*kept);
  while (reader.good() && !reader.rest().empty()) {
    const std::string path(reader.text());
    Known known;
    known.fingerprint = reader.text();
    known.digest.hash = reader.text();
    known.digest.size = static_cast<std::int64_t>(reader.number(8));
    if (reader.good()) known_.emplace(path, std::move(known));
  }
}

Result<model::Digest> LocalCache::digest(const std::string& path, const std::function<bool(const model::Digest&)>& usable,
                                         const Make& make) {
  const std::int64_t began_ns = clock_.wall_ns();
  const auto before = fingerprint(path);
  if (!before) return make(nullptr);
  std::optional<model::Digest> same;
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) load();
    const auto known = known_.find(path);
    if (known != known_.end() && known->second.fingerprint == before->sha256) {
      known->second.used = true;
      same = known->second.digest;
    }
  }
  if (same && usable(*same)) return *same;
  auto made = by_files(path, make);
  if (!made || !FileStamp{.mtime_ns = before->latest_ns}.settled(began_ns)) return made;
  const auto after = fingerprint(path);
  if (!after || after->sha256 != before->sha256) return made;
  const std::lock_guard lock(mutex_);
  known_[path] = {before->sha256, *made, true};
  added_ = true;
  return made;
}

Result<model::Digest> LocalCache::by_files(const std::string& path, const Make& make) {
  FileTable table(tables_, sha256_hex(name_ + path), clock_.wall_ns());
  auto made = make(&table);
  if (made) table.save();
  return made;
}

void LocalCache::save() {
  const std::lock_guard lock(mutex_);
  if (!added_) return;
  std::string all;
  for (const auto& [path, known] : known_) {
    if (known_.size() > kMany && !known.used) continue;
    kept_text(all, path);
    kept_text(all, known.fingerprint);
    kept_text(all, known.digest.hash);
    kept_number(all, static_cast<std::uint64_t>(known.digest.size), 8);
  }
  files_.write(name_, all);
  added_ = false;
}

}  // namespace sluice::loader
