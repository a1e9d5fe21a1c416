#include "store/complete.h"

#include <algorithm>
#include <cstdio>
#include <sys/stat.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "store/directory.h"
#include "store/fs.h"

namespace sluice::store {

namespace {

constexpr char kHeader[] = "sluice-complete 1";
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

// `sub` answers for a directory in it.
template <typename Sub>
bool whole_but_for(const Cas& cas, const Digest& root, Sub&& sub) {
  if (!cas.touch(root)) return false;
  const auto directory = read_directory(cas, root);
  if (!directory) return false;
  for (const DirectoryNode& node : directory->directories) {
    if (!sub(node.digest)) return false;
  }
  return std::all_of(directory->files.begin(), directory->files.end(), [&](const FileNode& file) { return cas.touch(file.digest); });
}

bool walk_once(const Cas& cas, const Digest& root, std::unordered_set<std::string>& known, unsigned depth) {
  if (depth > kMaxDepth) return false;
  if (known.contains(root.hash)) return true;
  if (!whole_but_for(cas, root, [&](const Digest& sub) { return walk_once(cas, sub, known, depth + 1); })) return false;
  known.insert(root.hash);
  return true;
}

}  // namespace

bool tree_is_whole(const Cas& cas, const Digest& root) {
  std::unordered_set<std::string> known;
  return valid_digest(root) && walk_once(cas, root, known, 0);
}

bool Completeness::knows(const Digest& root) {
  const std::lock_guard lock(mutex_);
  return known_.contains(root.hash);
}

bool Completeness::walk(const Digest& root, unsigned depth) {
  if (depth > kMaxDepth) return false;
  if (knows(root)) return true;
  if (!whole_but_for(cas_, root, [&](const Digest& sub) { return walk(sub, depth + 1); })) return false;
  note_tree(root);
  return true;
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
    const std::string_view hash = line();
    if (hash.size() != 64) break;
    known_.emplace(hash);
  }
}

bool Completeness::tree(const Digest& root) {
  if (!valid_digest(root)) return false;
  return walk(root, 0);
}

bool Completeness::blob(const Digest& digest) {
  return cas_.touch(digest);
}

void Completeness::note_tree(const Digest& root) {
  const std::lock_guard lock(mutex_);
  if (known_.insert(root.hash).second) changed_ = true;
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
  for (const std::string& hash : known_) {
    text += hash;
    text += '\n';
  }
  changed_ = false;
  return write_file_atomic(path_of(cas_), text);
}

}  // namespace sluice::store
