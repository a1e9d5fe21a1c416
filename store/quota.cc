#include "store/quota.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/lock.h"
#include "base/try.h"
#include "store/artifact.h"
#include "store/fs.h"
#include "store/key_inputs.h"
#include "store/refs.h"
#include "store/roots.h"
#include "store/sources.h"
#include "store/space.h"
#include "store/tree.h"

namespace sluice::store {

namespace {

constexpr std::int64_t kForever = INT64_MAX;

using VisitFile = std::function<void(const std::string& path, const struct stat& info)>;

// Visits every regular file in the directories directly below `root`; its path is "ab/cdef...".
Status scan(const std::string& root, const VisitFile& visit) {
  auto top = fs::open_directory(root, true);
  if (!top) {
    if (top.error().reason == "enoent") return {};
    return forward(top);
  }
  auto folders = TRY(fs::list(top->get()));
  for (const auto& [folder, type] : folders) {
    UniqueFd fd(
        ::openat(top->get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) continue;
    auto names = TRY(fs::list(fd.get()));
    for (const auto& [name, kind] : names) {
      struct stat info {};
      if (::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
          !S_ISREG(info.st_mode))
        continue;
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
  Expiry(Cas& cas, Space space, std::uint64_t target, const ExpireOptions& options)
      : cas_(cas), space_(std::move(space)), target_(target), options_(options),
        keep_since_(options.keep_since_ns > 0 ? options.keep_since_ns : kForever) {}

  Result<Expired> run() {
    const auto locked = TRY(lock());
    CHECK(count());
    CHECK(drop());
    return result_;
  }

  Status make_room(std::uint64_t bytes) {
    const auto locked = TRY(lock());
    // Somebody may have made room while this one waited.
    if (space_.take(bytes)) return {};
    auto allowed = TRY(space_.allowed(space_.used().value_or(0)));
    if (const auto floor = space_.recent_floor(); floor && allowed && *floor + bytes > *allowed)
      return too_full(bytes, *floor, *allowed);
    CHECK(count());
    allowed = TRY(space_.allowed(total_));
    if (allowed && bytes > *allowed) return too_full(bytes, total_, *allowed);
    if (allowed && total_ + bytes > *allowed) {
      const double share = space_.limits().low_watermark / 10'000.0;
      enough_ = *allowed - bytes;
      target_ =
          std::min(static_cast<std::uint64_t>(static_cast<double>(*allowed) * share), enough_);
      CHECK(drop());
      // The disk has more room now, for others too.
      allowed = TRY(space_.allowed(total_));
      if (allowed && total_ + bytes > *allowed) {
        const std::uint64_t floor = std::min(total_, least_);
        space_.note_floor(floor);
        return too_full(bytes, floor, *allowed);
      }
    }
    space_.add(bytes);
    return {};
  }

  Result<Expired> free_unused(const std::vector<Digest>& roots, const std::vector<Digest>& blobs) {
    const auto locked = TRY(lock());
    CHECK(scan_objects());
    CHECK(load_refs());
    // Blobs that are to go are marked first, and those that a ref leads to are unmarked then.
    constexpr std::int64_t kMark = -1;
    std::unordered_map<std::string, Digest> marked;
    const auto mark = [&](const Digest& digest) {
      return valid_digest(digest) && marked.emplace(digest.hash, digest).second;
    };
    const std::function<void(const Digest&, unsigned)> mark_tree = [&](const Digest& root,
                                                                       unsigned depth) {
      if (depth > kMaxDepth || !mark(root)) return;
      const auto directory = read_directory(cas_, root);
      if (!directory) return;
      for (const FileNode& file : directory->files) mark(file.digest);
      for (const DirectoryNode& sub : directory->directories) mark_tree(sub.digest, depth + 1);
    };
    for (const Digest& root : roots) mark_tree(root, 0);
    for (const Digest& blob : blobs) mark(blob);
    for (Object& object : objects_) object.used_ns = kMark;
    for (const Ref& ref : refs_) renew_ref(ref, 0);
    std::unordered_set<std::string> gone;
    for (const Object& object : objects_) {
      if (object.used_ns != kMark || object.accessed_ns >= keep_since_ ||
          !marked.contains(object.hash))
        continue;
      if (remove(object)) gone.insert(object.hash);
    }
    if (gone.empty()) return result_;
    space_.note_expiry();
    const std::string place = cas_.cachedir() + "/sluice/roots";
    if (auto directory = fs::open_directory(place, true)) {
      auto names = TRY(fs::list(directory->get()));
      for (const auto& [name, type] : names) {
        if (const auto digest = parse_root_name(name); !digest || !gone.contains(digest->hash))
          continue;
        CHECK(drop_root(place, name));
      }
    }
    const auto is_gone = [&gone](const std::string& hash) { return gone.contains(hash); };
    CHECK(drop_twins(is_gone));
    return result_;
  }

 private:
  Result<std::optional<UniqueFd>> lock() const {
    return lock_own_file(cas_.cachedir() + "/sluice/expire.lock", LockMode::kExclusive,
                         LockWait::kWait);
  }

  Status count() {
    CHECK(cas_.sweep_temporary());
    const auto before = space_.used();
    auto usage = TRY(used(cas_.cachedir()));
    total_ = usage.total();
    space_.set_counted(total_, before);
    return {};
  }

  Status drop() {
    if (total_ > target_)
      CHECK(drop_twins([this](const std::string&) { return total_ > target_; }));
    for (const auto step : {&Expiry::drop_roots, &Expiry::drop_objects}) {
      if (total_ <= target_) break;
      CHECK((this->*step)());
    }
    if (result_.objects > 0) space_.note_expiry();
    result_.left = total_;
    return {};
  }

  tl::unexpected<Error> too_full(std::uint64_t bytes, std::uint64_t used,
                                 std::uint64_t allowed) const {
    const CacheLimits limits = space_.limits();
    const char* const by = limits.quota == 0 || allowed < limits.quota
                               ? "cache.reserved-disk-space leaves"
                               : "cache.quota allows";
    if (bytes > allowed) {
      return fail("cas", "cache-too-full", "Cache too full", {},
                  fmt::format("{} bytes can't fit into the {} that {}", bytes, allowed, by));
    }
    return fail("cas", "cache-too-full", "Cache too full", {},
                fmt::format("{} bytes would not fit: {} of the {} that {} are needed by this "
                            "session and others; {} would fit",
                            bytes, used, allowed, by, allowed - std::min(allowed, used)));
  }

  // Removes twins that no root links (their link count is one), of hashes that are `wanted`, the
  // oldest first.
  template <typename Wanted>
  Status drop_twins(const Wanted& wanted) {
    const std::string place = cas_.cachedir() + "/sluice/files";
    std::vector<std::pair<std::int64_t, std::pair<std::string, std::uint64_t>>> unused;
    CHECK(scan(place, [&](const std::string& path, const struct stat& info) {
      if (info.st_nlink == 1) unused.push_back({fs::to_ns(info.st_ctim), {path, size_of(info)}});
    }));
    std::sort(unused.begin(), unused.end());
    for (const auto& [time, file] : unused) {
      if (!wanted(file.first.substr(0, 2) + file.first.substr(3, 62))) continue;
      // A root that links the twin at this moment has a file with one link, which is still its own.
      if (::unlink((place + "/" + file.first).c_str()) == 0) freed(file.second);
    }
    return {};
  }

  Status drop_roots() {
    const std::string roots = cas_.cachedir() + "/sluice/roots";
    auto directory = fs::open_directory(roots, true);
    if (!directory) return {};  // nothing was ever realised
    auto names = TRY(fs::list(directory->get()));
    std::vector<std::pair<std::int64_t, std::string>> order;
    for (const auto& [name, type] : names) {
      struct stat info {};
      if (::fstatat(directory->get(), (name + "/layers").c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      if (fs::to_ns(info.st_mtim) >= keep_since_) continue;
      order.emplace_back(fs::to_ns(info.st_mtim), name);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [time, name] : order) {
      if (total_ <= target_) break;
      CHECK(drop_root(roots, name));
      CHECK(drop_twins([this](const std::string&) { return total_ > target_; }));
    }
    return {};
  }

  // Removes a root unless it is in use.
  Status drop_root(const std::string& roots, const std::string& name) {
    auto lock = TRY(lock_root(roots, name, true));
    if (!lock) return {};
    CHECK(discard_root(cas_, roots, name));
    ++result_.roots;
    return {};
  }

  // Renews a blob's time. Of a tree that can't be walked to its end as much is renewed as can be.
  void renew(const Digest& root, std::int64_t time) {
    if (!valid_digest(root)) return;
    const auto found = by_hash_.find(root.hash);
    if (found == by_hash_.end()) return;
    objects_[found->second].used_ns = std::max(objects_[found->second].used_ns, time);
  }

  void renew_tree(const Digest& root, std::int64_t time) {
    // A tree that was walked for a later or equal time has nothing new below.
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
    auto files = TRY(list_refs(cas_, "artifacts/refs", 2));
    for (const RefFile& file : files) {
      Ref ref{"artifacts/refs/" + file.path, file.mtime_ns, true, {}, {}, {}};
      auto info = TRY(artifacts.peek(file.path));
      if (info) {
        if (!info->files.empty()) ref.trees.push_back(info->files);
        ref.blobs = {info->public_data, info->low_diversity_meta, info->high_diversity_meta};
        for (const auto& log : info->logs) ref.blobs.push_back(log.digest);
        for (const Digest* tree : {&info->buildtree, &info->sources, &info->buildroot}) {
          if (!tree->empty()) ref.optional_trees.push_back(*tree);
        }
        if (info->sandbox) {
          for (const Digest& tree : info->sandbox->subsandboxes) ref.optional_trees.push_back(tree);
        }
      }
      refs_.push_back(std::move(ref));
    }
    for (const auto& [place, levels] :
         {std::pair{"elementsources", 0u}, std::pair{"source_protos", 1u}}) {
      auto found = TRY(list_refs(cas_, place, levels));
      for (const RefFile& file : found) {
        const std::string path = fmt::format("{}/{}", place, file.path);
        auto root = TRY(peek_source(cas_, path));
        Ref ref{path, file.mtime_ns, false, {}, {}, {}};
        if (root) ref.trees.push_back(*root);
        refs_.push_back(std::move(ref));
      }
    }
    return {};
  }

  bool pinned(const Ref& ref) const {
    return std::find(options_.pinned_refs.begin(), options_.pinned_refs.end(), ref.path) !=
           options_.pinned_refs.end();
  }

  Status scan_objects() {
    return scan(cas_.cachedir() + "/cas/objects",
                [this](const std::string& path, const struct stat& info) {
                  Object object{path.substr(0, 2) + path.substr(3), size_of(info),
                                fs::to_ns(info.st_atim), fs::to_ns(info.st_atim)};
                  by_hash_.emplace(object.hash, objects_.size());
                  objects_.push_back(std::move(object));
                });
  }

  // Removes an object unless it was used since it was looked at.
  bool remove(const Object& object) {
    const Digest digest{object.hash, static_cast<std::int64_t>(object.size)};
    if (!valid_digest(digest)) return false;  // a stray file
    struct stat info {};
    const std::string path = cas_.object_path(digest);
    if (::lstat(path.c_str(), &info) != 0 || fs::to_ns(info.st_atim) != object.accessed_ns)
      return false;
    if (::unlink(path.c_str()) != 0) return false;
    freed(object.size);
    ++result_.objects;
    return true;
  }

  Status drop_objects() {
    for (int attempt = 0; attempt < 8; ++attempt) {
      objects_.clear();
      by_hash_.clear();
      walked_.clear();
      refs_.clear();
      bool renewed = false;
      if (auto done = drop_objects(renewed); !done || !renewed) return done;
    }
    return {};
  }

  // Removes objects. `renewed`: a session has used something that was to go, after it was looked
  // at.
  Status drop_objects(bool& renewed) {
    CHECK(scan_objects());
    CHECK(load_refs());
    // Refs come latest first, so that each tree is walked once.
    std::sort(refs_.begin(), refs_.end(),
              [](const Ref& a, const Ref& b) { return a.time > b.time; });
    for (const Digest& digest : options_.pinned) renew_tree(digest, kForever);
    for (const Ref& ref : refs_) {
      if (pinned(ref)) renew_ref(ref, kForever);
    }
    for (const Ref& ref : refs_) renew_ref(ref, ref.time);

    std::sort(objects_.begin(), objects_.end(),
              [](const Object& a, const Object& b) { return a.used_ns < b.used_ns; });
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
    least_ = after;
    if (doomed.empty()) return sweep();
    if (after > enough_) return {};  // nobody loses an artifact for nothing

    // Refs go first, so that being killed in between leaves blobs without a ref, not a ref without
    // its blobs.
    std::unordered_map<std::string, bool> loses;
    for (const Ref& ref : refs_) {
      bool broken = ref.trees.empty() && ref.blobs.empty();
      for (const Digest& blob : ref.blobs) broken = broken || gone.contains(blob.hash);
      for (const Digest& tree : ref.trees) broken = broken || tree_loses(tree, gone, loses);
      if (!broken) continue;
      const std::string path = cas_.cachedir() + "/" + ref.path;
      struct stat info {};
      if (::lstat(path.c_str(), &info) == 0 && fs::to_ns(info.st_mtim) != ref.time) {
        renewed = true;
        return {};
      }
      if (::unlink(path.c_str()) != 0) continue;
      ++result_.refs;
      if (ref.artifact) drop_key_inputs(cas_, ref.path.substr(ref.path.rfind('/') + 1));
    }
    CHECK(sweep());
    for (const Object* object : doomed) remove(*object);
    return {};
  }

  // Removes key inputs whose artifact went otherwise.
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
      for (const FileNode& file : directory->files)
        loses = loses || gone.contains(file.digest.hash);
      for (const DirectoryNode& sub : directory->directories)
        loses = loses || tree_loses(sub.digest, gone, known);
    }
    known[root.hash] = loses;
    return loses;
  }

  void freed(std::uint64_t bytes) {
    total_ -= std::min(total_, bytes);
    result_.bytes += bytes;
    space_.remove(bytes);
  }

  Cas& cas_;
  Space space_;
  std::uint64_t target_;
  std::uint64_t enough_ = UINT64_MAX;  // blobs go only if no more than that is left then
  std::uint64_t least_ = UINT64_MAX;   // what would be left if all that may go went
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
  const auto add_object = [&](const std::string&, const struct stat& info) {
    ++usage.objects;
    usage.object_bytes += size_of(info);
  };
  const auto add_twin = [&](const std::string&, const struct stat& info) {
    usage.twin_bytes += size_of(info);
  };
  CHECK(scan(cachedir + "/cas/objects", add_object));
  CHECK(scan(cachedir + "/sluice/files", add_twin));
  return usage;
}

namespace {

// Does expiry's work with a Cas that keeps access times: looking at what there is isn't using it.
template <typename Work>
auto with_expiry(const std::string& cachedir, std::uint64_t target, const ExpireOptions& options,
                 const Work& work) -> decltype(work(std::declval<Expiry&>())) {
  auto quiet = TRY(Cas::open(cachedir, {.keep_access_times = true}));
  auto space = TRY(Space::open(cachedir));
  Expiry expiry(quiet, std::move(space), target, options);
  return work(expiry);
}

}  // namespace

Result<Expired> expire_to(const Cas& cas, std::uint64_t target, const ExpireOptions& options) {
  return with_expiry(cas.cachedir(), target, options, [](Expiry& expiry) { return expiry.run(); });
}

Status expire_for(const std::string& cachedir, std::uint64_t bytes) {
  ExpireOptions options;
  options.keep_since_ns = used_since(cachedir);
  return with_expiry(cachedir, 0, options,
                     [bytes](Expiry& expiry) { return expiry.make_room(bytes); });
}

Result<Expired> free_unused(const Cas& cas, const std::vector<Digest>& roots,
                            const std::vector<Digest>& blobs, std::int64_t since_ns) {
  ExpireOptions options;
  options.keep_since_ns = since_ns;
  return with_expiry(cas.cachedir(), 0, options,
                     [&](Expiry& expiry) { return expiry.free_unused(roots, blobs); });
}

std::int64_t used_since(const std::string& cachedir, pid_t except) {
  std::int64_t since = fs::stamp_now_ns();
  auto directory = fs::open_directory(cachedir + "/sluice/tmp");
  if (!directory) return since;
  auto names = fs::list(directory->get());
  if (!names) return since;
  for (const auto& [name, type] : *names) {
    if (name.starts_with(fmt::format("{}-", except))) continue;
    UniqueFd fd(
        ::openat(directory->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) continue;  // its process is dead
    std::int64_t time = since;
    std::from_chars(name.data() + name.rfind('-') + 1, name.data() + name.size(), time);
    since = std::min(since, time);
  }
  return since;
}

}  // namespace sluice::store
