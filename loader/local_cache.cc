#include "loader/local_cache.h"

#include <algorithm>
#include <cerrno>
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
    : files_("locals", kMostBytes), name_(sha256_hex(directory)), clock_(clock) {}

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

Result<model::Digest> LocalCache::digest(const std::string& path, const std::function<Result<model::Digest>()>& make) {
  const std::int64_t began_ns = clock_.wall_ns();
  const auto before = fingerprint(path);
  if (!before) return make();
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) load();
    const auto known = known_.find(path);
    if (known != known_.end() && known->second.fingerprint == before->sha256) {
      known->second.used = true;
      return known->second.digest;
    }
  }
  auto made = make();
  if (!made || !FileStamp{.mtime_ns = before->latest_ns}.settled(began_ns)) return made;
  const auto after = fingerprint(path);
  if (!after || after->sha256 != before->sha256) return made;
  const std::lock_guard lock(mutex_);
  known_[path] = {before->sha256, *made, true};
  added_ = true;
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
