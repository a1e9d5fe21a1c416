#include "store/complete.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sys/stat.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/measure.h"

namespace sluice::store {

namespace {

constexpr char kHeader[] = "sluice-complete 2";
// Sums stay below this.
constexpr std::uint64_t kManyNames = std::uint64_t{1} << 40;
constexpr std::int64_t kSettled = std::int64_t{2} * 1'000'000'000;

std::string path_of(const Cas& cas) { return cas.cachedir() + "/sluice/complete"; }

// Inode and times of every directory that holds objects. `newest`: the latest change.
std::string fingerprint(const Cas& cas, std::int64_t* newest = nullptr) {
  Sha256 sum;
  for (int i = -1; i < 256; ++i) {
    const std::string path = cas.cachedir() + (i < 0 ? "/cas/objects" : fmt::format("/cas/objects/{:02x}", i));
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      sum.update("-");
      continue;
    }
    const std::int64_t changed = fs::to_ns(info.st_ctim);
    sum.update(fmt::format("{}:{}:{}:{} ", info.st_dev, info.st_ino, fs::to_ns(info.st_mtim), changed));
    if (newest != nullptr) *newest = std::max(*newest, changed);
  }
  return sum.hex();
}

// The number of names below, or std::nullopt when something is missing. `sub` answers for a directory in it.
template <typename Sub>
std::optional<std::uint64_t> names_if_whole(const Cas& cas, const Digest& root, Sub&& sub) {
  if (!cas.touch(root)) return std::nullopt;
  const auto directory = read_directory(cas, root);
  if (!directory) return std::nullopt;
  std::uint64_t names = directory->files.size() + directory->directories.size() + directory->symlinks.size();
  for (const DirectoryNode& node : directory->directories) {
    const std::optional<std::uint64_t> below = sub(node.digest);
    if (!below) return std::nullopt;
    names = std::min(names + *below, kManyNames);
  }
  if (!std::all_of(directory->files.begin(), directory->files.end(), [&](const FileNode& file) { return cas.touch(file.digest); })) {
    return std::nullopt;
  }
  return names;
}

std::optional<std::uint64_t> walk_once(const Cas& cas, const Digest& root, std::unordered_map<std::string, std::uint64_t>& known,
                                       unsigned depth) {
  if (depth > kMaxDepth) return std::nullopt;
  if (const auto found = known.find(root.hash); found != known.end()) return found->second;
  const auto names = names_if_whole(cas, root, [&](const Digest& sub) { return walk_once(cas, sub, known, depth + 1); });
  if (names) known.emplace(root.hash, *names);
  return names;
}

// The distinct names are counted for the few trees alone that have so many.
bool unfolds(const Cas& cas, const Digest& root, std::uint64_t names) {
  return names <= kUnfoldedEntries || check_unfolded(cas, root).has_value();
}

}  // namespace

bool tree_is_whole(const Cas& cas, const Digest& root) {
  if (!valid_digest(root)) return false;
  std::unordered_map<std::string, std::uint64_t> known;
  const auto names = walk_once(cas, root, known, 0);
  return names && unfolds(cas, root, *names);
}

std::optional<std::uint64_t> Completeness::walk(const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(root.hash); found != known_.end()) return found->second;
  }
  const auto names = names_if_whole(cas_, root, [&](const Digest& sub) { return walk(sub, depth + 1); });
  if (names) learn(root, *names);
  return names;
}

Completeness::Completeness(const Cas& cas) : cas_(cas), fingerprint_(fingerprint(cas)) {
  const auto text = read_file(path_of(cas));
  if (!text) return;
  std::string_view rest = *text;
  const auto line = [&rest] {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::string_view{};
    const std::string_view found = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return found;
  };
  if (line() != kHeader || line() != fingerprint_) return;
  while (!rest.empty()) {
    const std::string_view text_line = line();
    std::uint64_t names = 0;
    if (text_line.size() < 66) break;
    std::from_chars(text_line.data() + 65, text_line.data() + text_line.size(), names);
    known_.emplace(text_line.substr(0, 64), names);
  }
}

bool Completeness::tree(const Digest& root) {
  if (!valid_digest(root)) return false;
  const auto names = walk(root, 0);
  return names && unfolds(cas_, root, *names);
}

bool Completeness::blob(const Digest& digest) {
  return cas_.touch(digest);
}

void Completeness::learn(const Digest& root, std::uint64_t names) {
  const std::lock_guard lock(mutex_);
  if (known_.emplace(root.hash, names).second) changed_ = true;
}

void Completeness::invalidate() {
  const std::lock_guard lock(mutex_);
  known_.clear();
  fingerprint_.clear();
  changed_ = false;
}

Status Completeness::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_) return {};
  std::int64_t newest = 0;
  const std::int64_t before = fs::wall_now_ns();
  // What was looked at since construction is believed only if nothing moved meanwhile.
  if (fingerprint(cas_, &newest) != fingerprint_ || before - newest < kSettled) return {};
  std::string text = fmt::format("{}\n{}\n", kHeader, fingerprint_);
  for (const auto& [hash, names] : known_) text += fmt::format("{} {}\n", hash, names);
  changed_ = false;
  return write_file_atomic(path_of(cas_), text);
}

}  // namespace sluice::store
