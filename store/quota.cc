#include "store/quota.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/lock.h"
#include "store/artifact.h"
#include "store/fs.h"
#include "store/key_inputs.h"
#include "store/refs.h"
#include "store/roots.h"
#include "store/sources.h"
#include "store/tree.h"

namespace sluice::store {

namespace {

constexpr std::int64_t kForever = INT64_MAX;
// Cas::touch() renews an access time only when it is an hour old.
constexpr std::int64_t kTouchSlack = std::int64_t{3600} * 1'000'000'000;

using VisitFile = std::function<void(const std::string& path, const struct stat& info)>;

// Every regular file in the directories directly below `root`; path is "ab/cdef...".
Status scan(const std::string& root, const VisitFile& visit) {
  auto top = fs::open_directory(root, true);
  if (!top) {
    if (top.error().reason == "enoent") return {};
    return forward(top);
  }
  auto folders = fs::list(top->get());
  if (!folders) return forward(folders);
  for (const auto& [folder, type] : *folders) {
    UniqueFd fd(::openat(top->get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) continue;
    auto names = fs::list(fd.get());
    if (!names) return forward(names);
    for (const auto& [name, kind] : *names) {
      struct stat info {};
      if (::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) continue;
      visit(folder + "/" + name, info);
    }
  }
  return {};
}

std::uint64_t size_of(const struct stat& info) { return static_cast<std::uint64_t>(info.st_size); }

struct Object {
  std::string hash;
  std::uint64_t size = 0;
  std::int64_t accessed_ns = 0;
  std::int64_t used_ns = 0;
};

class Expiry {
 public:
  Expiry(Cas& cas, std::uint64_t target, const ExpireOptions& options)
      : cas_(cas), target_(target), options_(options),
        keep_since_(options.keep_since_ns > 0 ? options.keep_since_ns - kTouchSlack : kForever) {}

  Result<Expired> run() {
    const std::string lock_path = cas_.cachedir() + "/sluice/expire.lock";
    auto lock = lock_own_file(lock_path, LockMode::kExclusive, LockWait::kWait);
    if (!lock) return forward(lock);
    if (auto swept = cas_.sweep_temporary(); !swept) return forward(swept);
    auto usage = used(cas_.cachedir());
    if (!usage) return forward(usage);
    total_ = usage->total();
    for (const auto step : {&Expiry::drop_twins, &Expiry::drop_roots, &Expiry::drop_objects}) {
      if (total_ <= target_) break;
      if (auto done = (this->*step)(); !done) return forward(done);
    }
    result_.left = total_;
    return result_;
  }

 private:
  // Twins that no root links: the oldest first. A link count of one is only theirs.
  Status drop_twins() {
    const std::string place = cas_.cachedir() + "/sluice/files";
    std::vector<std::pair<std::int64_t, std::pair<std::string, std::uint64_t>>> unused;
    auto scanned = scan(place, [&](const std::string& path, const struct stat& info) {
      if (info.st_nlink == 1) unused.push_back({fs::to_ns(info.st_ctim), {path, size_of(info)}});
    });
    if (!scanned) return scanned;
    std::sort(unused.begin(), unused.end());
    for (const auto& [time, file] : unused) {
      if (total_ <= target_) break;
      // Whoever links it at this moment has a file with one link: still his own.
      if (::unlink((place + "/" + file.first).c_str()) == 0) freed(file.second);
    }
    return {};
  }

  Status drop_roots() {
    const std::string roots = cas_.cachedir() + "/sluice/roots";
    auto directory = fs::open_directory(roots, true);
    if (!directory) return {};  // nothing was ever realised
    auto names = fs::list(directory->get());
    if (!names) return forward(names);
    std::vector<std::pair<std::int64_t, std::string>> order;
    for (const auto& [name, type] : *names) {
      struct stat info {};
      if (::fstatat(directory->get(), (name + "/layers").c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (fs::to_ns(info.st_mtim) >= keep_since_) continue;
      order.emplace_back(fs::to_ns(info.st_mtim), name);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [time, name] : order) {
      if (total_ <= target_) break;
      auto lock = lock_root(roots, name, true);
      if (!lock) return forward(lock);
      if (!*lock) continue;  // in use
      if (auto removed = discard_root(cas_, roots, name); !removed) return removed;
      ++result_.roots;
      if (auto done = drop_twins(); !done) return done;
    }
    return {};
  }

  // A root whose tree can't be walked to its end is renewed as far as it can.
  void renew(const Digest& root, std::int64_t time) {
    if (!valid_digest(root)) return;
    const auto found = by_hash_.find(root.hash);
    if (found == by_hash_.end()) return;
    objects_[found->second].used_ns = std::max(objects_[found->second].used_ns, time);
  }

  void renew_tree(const Digest& root, std::int64_t time) {
    // Walked once at a later or equal time: nothing new below.
    auto [seen, added] = walked_.try_emplace(root.hash, time);
    if (!added) {
      if (seen->second >= time) return;
      seen->second = time;
    }
    renew(root, time);
    const auto directory = read_directory(cas_, root);
    if (!directory) return;
    for (const FileNode& file : directory->files) renew(file.digest, time);
    for (const DirectoryNode& sub : directory->directories) renew_tree(sub.digest, time);
  }

  struct Ref {
    std::string path;  // relative to the cachedir
    std::int64_t time = 0;
    bool artifact = false;
    std::vector<Digest> trees;
    std::vector<Digest> blobs;
    std::vector<Digest> optional_trees;
  };

  Status load_refs() {
    Artifacts artifacts(cas_);
    auto files = list_refs(cas_, "artifacts/refs", 2);
    if (!files) return forward(files);
    for (const RefFile& file : *files) {
      Ref ref{"artifacts/refs/" + file.path, file.mtime_ns, true, {}, {}, {}};
      auto info = artifacts.peek(file.path);
      if (!info) return forward(info);
      if (*info) {
        if (!(*info)->files.empty()) ref.trees.push_back((*info)->files);
        ref.blobs = {(*info)->public_data, (*info)->low_diversity_meta, (*info)->high_diversity_meta};
        for (const auto& log : (*info)->logs) ref.blobs.push_back(log.digest);
        for (const Digest* tree : {&(*info)->buildtree, &(*info)->sources, &(*info)->buildroot}) {
          if (!tree->empty()) ref.optional_trees.push_back(*tree);
        }
        if ((*info)->sandbox) {
          for (const Digest& tree : (*info)->sandbox->subsandboxes) ref.optional_trees.push_back(tree);
        }
      }
      refs_.push_back(std::move(ref));
    }
    for (const auto& [place, levels] : {std::pair{"elementsources", 0u}, std::pair{"source_protos", 1u}}) {
      auto found = list_refs(cas_, place, levels);
      if (!found) return forward(found);
      for (const RefFile& file : *found) {
        const std::string path = fmt::format("{}/{}", place, file.path);
        auto root = peek_source(cas_, path);
        if (!root) return forward(root);
        Ref ref{path, file.mtime_ns, false, {}, {}, {}};
        if (*root) ref.trees.push_back(**root);
        refs_.push_back(std::move(ref));
      }
    }
    return {};
  }

  bool pinned(const Ref& ref) const {
    return std::find(options_.pinned_refs.begin(), options_.pinned_refs.end(), ref.path) != options_.pinned_refs.end();
  }

  Status drop_objects() {
    auto scanned = scan(cas_.cachedir() + "/cas/objects", [this](const std::string& path, const struct stat& info) {
      Object object{path.substr(0, 2) + path.substr(3), size_of(info), fs::to_ns(info.st_atim), fs::to_ns(info.st_atim)};
      by_hash_.emplace(object.hash, objects_.size());
      objects_.push_back(std::move(object));
    });
    if (!scanned) return scanned;
    if (auto loaded = load_refs(); !loaded) return loaded;
    // The latest first: each tree is walked once.
    std::sort(refs_.begin(), refs_.end(), [](const Ref& a, const Ref& b) { return a.time > b.time; });
    for (const Digest& digest : options_.pinned) renew_tree(digest, kForever);
    for (const Ref& ref : refs_) {
      if (pinned(ref)) renew_ref(ref, kForever);
    }
    for (const Ref& ref : refs_) renew_ref(ref, ref.time);

    std::sort(objects_.begin(), objects_.end(), [](const Object& a, const Object& b) { return a.used_ns < b.used_ns; });
    std::vector<const Object*> doomed;
    std::unordered_set<std::string> gone;
    std::uint64_t after = total_;
    for (const Object& object : objects_) {
      if (after <= target_ || object.used_ns == kForever) break;
      if (object.used_ns >= keep_since_) break;
      doomed.push_back(&object);
      gone.insert(object.hash);
      after -= std::min(after, object.size);
    }
    if (doomed.empty()) return sweep();

    // First the refs, so that being killed in between leaves blobs without a ref, not a ref without its blobs.
    std::unordered_map<std::string, bool> loses;
    for (const Ref& ref : refs_) {
      bool broken = ref.trees.empty() && ref.blobs.empty();
      for (const Digest& blob : ref.blobs) broken = broken || gone.contains(blob.hash);
      for (const Digest& tree : ref.trees) broken = broken || tree_loses(tree, gone, loses);
      if (!broken) continue;
      if (::unlink((cas_.cachedir() + "/" + ref.path).c_str()) != 0) continue;
      ++result_.refs;
      if (ref.artifact) drop_key_inputs(cas_, ref.path.substr(ref.path.rfind('/') + 1));
    }
    if (auto swept = sweep(); !swept) return swept;
    for (const Object* object : doomed) {
      const Digest digest{object->hash, static_cast<std::int64_t>(object->size)};
      if (!valid_digest(digest)) continue;  // not ours
      struct stat info {};
      const std::string path = cas_.object_path(digest);
      // Used since it was looked at: it stays.
      if (::lstat(path.c_str(), &info) != 0 || fs::to_ns(info.st_atim) != object->accessed_ns) continue;
      if (::unlink(path.c_str()) == 0) {
        freed(object->size);
        ++result_.objects;
      }
    }
    return {};
  }

  // Key inputs whose artifact went otherwise.
  Status sweep() const {
    std::unordered_set<std::string> keys;
    for (const Ref& ref : refs_) {
      if (ref.artifact) keys.insert(ref.path.substr(ref.path.rfind('/') + 1));
    }
    return sweep_key_inputs(cas_, keys);
  }

  void renew_ref(const Ref& ref, std::int64_t time) {
    for (const Digest& tree : ref.trees) renew_tree(tree, time);
    for (const Digest& tree : ref.optional_trees) renew_tree(tree, time);
    for (const Digest& blob : ref.blobs) renew(blob, time);
  }

  bool tree_loses(const Digest& root, const std::unordered_set<std::string>& gone,
                  std::unordered_map<std::string, bool>& known) {
    if (gone.contains(root.hash)) return true;
    if (const auto found = known.find(root.hash); found != known.end()) return found->second;
    const auto directory = read_directory(cas_, root);
    bool loses = !directory;
    if (directory) {
      for (const FileNode& file : directory->files) loses = loses || gone.contains(file.digest.hash);
      for (const DirectoryNode& sub : directory->directories) loses = loses || tree_loses(sub.digest, gone, known);
    }
    known[root.hash] = loses;
    return loses;
  }

  void freed(std::uint64_t bytes) {
    total_ -= std::min(total_, bytes);
    result_.bytes += bytes;
  }

  Cas& cas_;
  std::uint64_t target_;
  const ExpireOptions& options_;
  std::int64_t keep_since_;
  std::uint64_t total_ = 0;
  Expired result_;
  std::vector<Object> objects_;
  std::unordered_map<std::string, std::size_t> by_hash_;
  std::unordered_map<std::string, std::int64_t> walked_;
  std::vector<Ref> refs_;
};

}  // namespace

Result<Usage> used(const std::string& cachedir) {
  Usage usage;
  auto done = scan(cachedir + "/cas/objects", [&](const std::string&, const struct stat& info) {
    ++usage.objects;
    usage.object_bytes += size_of(info);
  });
  if (!done) return forward(done);
  done = scan(cachedir + "/sluice/files",
              [&](const std::string&, const struct stat& info) { usage.twin_bytes += size_of(info); });
  if (!done) return forward(done);
  return usage;
}

Result<Expired> expire_to(const Cas& cas, std::uint64_t target, const ExpireOptions& options) {
  auto quiet = Cas::open(cas.cachedir(), {.keep_access_times = true});
  if (!quiet) return forward(quiet);
  return Expiry(*quiet, target, options).run();
}

}  // namespace sluice::store
