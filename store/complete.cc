#include "store/complete.h"

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

bool walk(const Cas& cas, const Digest& root, std::unordered_set<std::string>& known, bool& changed, unsigned depth) {
  if (known.contains(root.hash)) return true;
  if (depth > kMaxDepth || !cas.touch(root)) return false;
  const auto directory = read_directory(cas, root);
  if (!directory) return false;
  for (const DirectoryNode& sub : directory->directories) {
    if (!walk(cas, sub.digest, known, changed, depth + 1)) return false;
  }
  for (const FileNode& file : directory->files) {
    if (!cas.touch(file.digest)) return false;
  }
  known.insert(root.hash);
  changed = true;
  return true;
}

}  // namespace

bool tree_is_whole(const Cas& cas, const Digest& root) {
  std::unordered_set<std::string> known;
  bool changed = false;
  return valid_digest(root) && walk(cas, root, known, changed, 0);
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
  return walk(cas_, root, known_, changed_, 0);
}

bool Completeness::blob(const Digest& digest) {
  return cas_.touch(digest);
}

void Completeness::note_tree(const Digest& root) {
  if (known_.insert(root.hash).second) changed_ = true;
}

void Completeness::invalidate() {
  known_.clear();
  fingerprint_.clear();
  changed_ = false;
}

Status Completeness::save() {
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
