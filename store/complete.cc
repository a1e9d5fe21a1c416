#include "store/complete.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/file_stamp.h"
#include "base/sha256.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/measure.h"
#include "store/workers.h"

namespace sluice::store {

namespace {

constexpr char kHeader[] = "sluice-complete 3";
// Counts of names stop here.
constexpr std::uint64_t kManyNames = std::uint64_t{1} << 40;
constexpr std::uint64_t kAbsent = 1;  // the stamp of a directory that isn't there, and so is empty
// The number of blobs that are looked at before what is remembered is loaded, which costs about as
// much.
constexpr std::size_t kFewBlobs = 500;
// The number of looks that a second thread doesn't make faster.
constexpr std::size_t kFewTouches = 2000;

std::string path_of(const Cas& cas) { return cas.cachedir() + "/sluice/complete"; }

std::uint8_t folder_of(const std::string& hash) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  return static_cast<std::uint8_t>(digit(hash[0]) * 16 + digit(hash[1]));
}

// The number of names below a directory, each occurrence counted; std::nullopt: something is
// missing.
using Names = std::optional<std::uint64_t>;

std::uint64_t names_in(const Directory& directory) {
  return directory.files.size() + directory.directories.size() + directory.symlinks.size();
}

struct Looking {
  const Cas& cas;
  std::unordered_map<std::string, std::uint64_t> known;
  std::size_t looked_at = 0;

  Names walk(const Digest& root, unsigned depth) {
    if (depth > kMaxDepth) return std::nullopt;
    if (const auto found = known.find(root.hash); found != known.end()) return found->second;
    const auto there = [&](const Digest& digest) {
      return ++looked_at <= kFewBlobs && cas.touch(digest);
    };
    if (!there(root)) return std::nullopt;
    const auto directory = read_directory(cas, root);
    if (!directory) return std::nullopt;
    std::uint64_t names = names_in(*directory);
    for (const DirectoryNode& node : directory->directories) {
      const Names below = walk(node.digest, depth + 1);
      if (!below) return std::nullopt;
      names = std::min(names + *below, kManyNames);
    }
    for (const FileNode& file : directory->files) {
      if (!there(file.digest)) return std::nullopt;
    }
    known.emplace(root.hash, names);
    return names;
  }
};

// Whether a tree of so many names may be unfolded (measure.h). Distinct names are counted for the
// few trees alone that have very many.
bool unfolds(const Cas& cas, const Digest& root, std::uint64_t names) {
  return names <= kUnfoldedEntries || check_unfolded(cas, root).has_value();
}

}  // namespace

bool tree_is_whole(const Cas& cas, const Digest& root) {
  if (!valid_digest(root)) return false;
  Looking looking{cas, {}};
  if (const Names names = looking.walk(root, 0)) return unfolds(cas, root, *names);
  return looking.looked_at > kFewBlobs && Completeness(cas).tree(root);
}

Completeness::Stamps Completeness::stamps(const Cas& cas, std::int64_t settled_before_ns) {
  Stamps found{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    struct stat info {};
    if (::stat(fmt::format("{}/cas/objects/{:02x}", cas.cachedir(), i).c_str(), &info) != 0) {
      found[i] = kAbsent;
      continue;
    }
    const FileStamp stamp = FileStamp::of(info);
    if (!stamp.settled(settled_before_ns)) continue;
    Sha256 sum;
    sum.update(
        fmt::format("{}:{}:{}:{}", stamp.device, stamp.inode, stamp.mtime_ns, stamp.ctime_ns));
    found[i] = std::stoull(sum.hex().substr(0, 16), nullptr, 16) | 2;
  }
  return found;
}

std::optional<std::uint64_t> Completeness::names_of(const Digest& root) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(root.hash);
  if (found == known_.end()) return std::nullopt;
  Known& known = found->second;
  if (known.size < 0 && cas_.touch(root)) known.size = root.size;
  return known.size == root.size ? Names{known.names} : Names{};
}

void Completeness::learn(const Digest& root, std::uint64_t names) {
  const std::lock_guard lock(mutex_);
  if (known_.emplace(root.hash, Known{names, root.size}).second) changed_ = true;
}

// One walk over a tree, whose findings are noted when all of it is there.
struct Completeness::Walk {
  Completeness& of;
  std::unordered_map<std::string, Known> seen;
  Workers workers{0, kFewTouches};

  bool touch(const Digest& digest, bool was_whole) const {
    return (was_whole && !of.moved_[folder_of(digest.hash)]) || of.cas_.touch(digest);
  }

  // Looks at a tree. `was_whole`: all of it was there when `before_` was saved.
  Names look_at(const Digest& root, unsigned depth, bool was_whole) {
    if (depth > kMaxDepth || workers.failed()) return std::nullopt;
    if (const Names known = of.names_of(root)) return known;
    if (const auto met = seen.find(root.hash); met != seen.end() && met->second.size == root.size)
      return met->second.names;
    was_whole = was_whole || of.before_.contains(root.hash);
    if (!touch(root, was_whole)) return std::nullopt;
    auto directory = read_directory(of.cas_, root);
    if (!directory) return std::nullopt;
    std::uint64_t names = names_in(*directory);
    std::vector<Digest> files;
    for (FileNode& file : directory->files) {
      if (!was_whole || of.moved_[folder_of(file.digest.hash)])
        files.push_back(std::move(file.digest));
    }
    if (!files.empty()) {
      const std::size_t count = files.size();
      workers.add(count, 0, [this, files = std::move(files)] {
        for (const Digest& digest : files) {
          if (!of.cas_.touch(digest)) return Status(fail("cas", "missing-blob", digest.hash));
        }
        return Status{};
      });
    }
    for (const DirectoryNode& sub : directory->directories) {
      const Names below = look_at(sub.digest, depth + 1, was_whole);
      if (!below) return std::nullopt;
      names = std::min(names + *below, kManyNames);
    }
    seen.emplace(root.hash, Known{names, root.size});
    return names;
  }
};

bool Completeness::tree(const Digest& root) {
  if (!valid_digest(root)) return false;
  Walk walk{*this, {}};
  const Names names = walk.look_at(root, 0, false);
  if (!names || !walk.workers.finish()) return false;
  for (const auto& [hash, below] : walk.seen) learn({hash, below.size}, below.names);
  return unfolds(cas_, root, *names);
}

Completeness::Completeness(const Cas& cas) : cas_(cas), made_(stamps(cas, INT64_MAX)) {
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
  if (line() != kHeader) return;
  const std::string_view then = line();
  if (then.size() != 16 * made_.size()) return;
  bool same = true;
  for (std::size_t i = 0; i < made_.size(); ++i) {
    std::uint64_t stamp = 0;
    const std::string_view digits = then.substr(16 * i, 16);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), stamp, 16).ptr !=
        digits.data() + digits.size())
      return;
    // A stamp of 0 wasn't known.
    moved_[i] = stamp == 0 || stamp != made_[i];
    same = same && !moved_[i];
  }
  while (!rest.empty()) {
    const std::string_view text_line = line();
    std::uint64_t names = 0;
    if (text_line.size() < 66) break;
    std::from_chars(text_line.data() + 65, text_line.data() + text_line.size(), names);
    if (same) {
      known_.emplace(text_line.substr(0, 64), Known{names, -1});
    } else {
      before_.emplace(text_line.substr(0, 64));
    }
  }
}

bool Completeness::blob(const Digest& digest) { return cas_.touch(digest); }

std::function<bool(const Digest& blob)> Completeness::presence(const Digest& earlier) {
  if (!names_of(earlier) && !before_.contains(earlier.hash))
    return [this](const Digest& blob) { return cas_.touch(blob); };
  return [this](const Digest& blob) { return !moved_[folder_of(blob.hash)] || cas_.touch(blob); };
}

void Completeness::invalidate() {
  const std::lock_guard lock(mutex_);
  known_.clear();
  before_.clear();
  lost_ = true;
  changed_ = false;
}

Status Completeness::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_ || lost_) return {};
  // Stamps are saved where nothing moved since construction: of the rest nobody knows what moved
  // when.
  const Stamps now = stamps(cas_, fs::wall_now_ns());
  std::string text = fmt::format("{}\n", kHeader);
  for (std::size_t i = 0; i < now.size(); ++i)
    text += fmt::format("{:016x}", now[i] == made_[i] ? now[i] : 0);
  text += '\n';
  for (const auto& [hash, known] : known_) text += fmt::format("{} {}\n", hash, known.names);
  changed_ = false;
  return write_file_atomic(path_of(cas_), text);
}

}  // namespace sluice::store
