#include "store/check.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <unordered_set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "store/artifact.h"
#include "store/fs.h"
#include "store/measure.h"
#include "store/realise.h"
#include "store/refs.h"
#include "store/roots.h"
#include "store/sources.h"
#include "store/workers.h"

namespace sluice::store {

namespace {

// Gives each name in the 256 folders of `place` to a thread, with its open folder; `stray` is
// called with what is no folder.
template <typename Stray, typename Visit>
Status for_each_file(const std::string& place, const Stray& stray, const Visit& visit) {
  auto top = fs::open_directory(place, true);
  if (!top) return top.error().reason == "enoent" ? Status{} : forward(top);
  auto folders = TRY(fs::list(top->get()));
  Workers workers;
  for (const auto& [folder, type] : folders) {
    const auto fd = std::make_shared<UniqueFd>(
        ::openat(top->get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!*fd) {
      stray(folder);
      continue;
    }
    auto names = TRY(fs::list(fd->get()));
    for (const auto& [name, kind] : names) {
      // What is large starts first; how large a file is isn't known here, and hashing takes all
      // cores anyway.
      workers.add(1, std::int64_t{1} << 20,
                  [&visit, fd, folder, name] { return visit(fd->get(), folder, name); });
    }
  }
  return workers.finish();
}

Result<Digest> hash_file(int directory, const std::string& name) {
  UniqueFd file(::openat(directory, name.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME));
  if (!file)
    file.reset(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return fail_errno(errno, name);
  return digest_of_fd(file.get());
}

Status check_objects(const Cas& cas, bool repair, CheckReport& report) {
  std::mutex mutex;
  const auto stray = [&](const std::string& name) {
    const std::lock_guard lock(mutex);
    report.corrupt.push_back("cas/objects/" + name);
    if (repair) ++report.left;
  };
  return for_each_file(
      cas.cachedir() + "/cas/objects", stray,
      [&](int directory, const std::string& folder, const std::string& name) {
        const auto digest = hash_file(directory, name);
        const std::lock_guard lock(mutex);
        ++report.objects;
        // Expiry may have taken it meanwhile.
        if (!digest && digest.error().reason == "enoent") return Status{};
        if (digest && digest->hash == folder + name) return Status{};
        report.corrupt.push_back("cas/objects/" + folder + "/" + name);
        if (repair)
          ++(valid_key(folder + name) && ::unlinkat(directory, name.c_str(), 0) == 0
                 ? report.removed
                 : report.left);
        return Status{};
      });
}

// Checks all twins, each "cdef...-644.0" in a folder "ab".
Status check_twins(Cas& cas, bool repair, CheckReport& report) {
  std::mutex mutex;
  const auto stray = [](const std::string&) {};
  auto looked = for_each_file(
      cas.cachedir() + "/sluice/files", stray,
      [&](int directory, const std::string& folder, const std::string& name) {
        const auto digest = hash_file(directory, name);
        if (!digest && digest.error().reason == "enoent") return Status{};
        if (digest && digest->hash == folder + name.substr(0, name.find('-'))) return Status{};
        const std::lock_guard lock(mutex);
        report.derived.push_back("sluice/files/" + folder + "/" + name);
        if (repair) ++(::unlinkat(directory, name.c_str(), 0) == 0 ? report.removed : report.left);
        return Status{};
      });
  if (!looked) return looked;
  // A root has the twin's inode under a name of its own.
  const std::string roots = cas.cachedir() + "/sluice/roots";
  if (!path_exists(roots)) return {};
  auto realiser = TRY(Realiser::open(cas));
  auto damaged = TRY(realiser.damaged());
  for (const std::string& name : damaged) {
    report.derived.push_back("sluice/roots/" + name);
    if (!repair) continue;
    auto lock = TRY(lock_root(roots, name, true));
    if (!lock) {  // a build is using it
      ++report.left;
      continue;
    }
    CHECK(discard_root(cas, roots, name));
    ++report.removed;
  }
  return {};
}

// Checks that a tree is there; false when it isn't wholly.
bool check_tree(const Cas& cas, const std::string& ref, const Digest& root, CheckReport& report) {
  const auto walked = for_each_blob(cas, root, [&](const BlobUse& use) {
    // A file counts when it is there with the size that the tree says.
    if (cas.contains(use.digest) || (use.directory && use.digest == empty_digest()))
      return Status{};
    return Status(fail("cas", "missing-blob", use.digest.hash));
  });
  if (!walked) report.incomplete.push_back(fmt::format("{}: {}", ref, walked.error().message));
  return walked.has_value();
}

}  // namespace

Result<std::uint64_t> drop_damaged(Cas& cas, const Digest& root) {
  std::atomic<std::uint64_t> dropped{0};
  std::unordered_set<std::string> seen;
  Workers workers;
  // Directory messages are looked at as they are read, and those that are damaged end the walk:
  // they are missing now.
  static_cast<void>(for_each_blob(cas, root, [&](const BlobUse& use) {
    if (use.directory || !seen.insert(use.digest.hash).second) return Status{};
    workers.add(1, use.digest.size, [&cas, &dropped, digest = use.digest] {
      const auto good = cas.verify(digest);
      if (good || good.error().reason != "corrupt-blob") return Status{};
      ++dropped;
      return cas.remove(digest);
    });
    return Status{};
  }));
  CHECK(workers.finish());
  return dropped.load();
}

Result<CheckReport> verify_all(const Cas& cas_in, bool repair) {
  auto cas = TRY(Cas::open(cas_in.cachedir(), {.keep_access_times = true}));
  CheckReport report;
  CHECK(check_objects(cas, repair, report));

  Artifacts artifacts(cas);
  auto refs = TRY(artifacts.list());
  for (const std::string& ref : refs) {
    ++report.refs;
    auto info = TRY(artifacts.peek(ref));
    const std::string shown = "artifacts/refs/" + ref;
    bool good = info.has_value();
    if (!good) report.corrupt.push_back(shown);
    if (good && !info->files.empty()) good = check_tree(cas, shown, info->files, report);
    if (info) {
      for (const Digest& missing : artifacts.missing(*info)) {
        if (missing == info->files) continue;
        report.incomplete.push_back(
            fmt::format("{}: {}", shown, missing.empty() ? "no metadata" : missing.hash));
        good = false;
      }
    }
    if (!good && repair) {
      CHECK(artifacts.remove(ref));
      ++report.removed;
    }
  }
  for (const auto& [place, levels] :
       {std::pair{"elementsources", 0u}, std::pair{"source_protos", 1u}}) {
    auto files = TRY(list_refs(cas, place, levels));
    for (const RefFile& file : files) {
      ++report.refs;
      const std::string path = fmt::format("{}/{}", place, file.path);
      auto root = TRY(peek_source(cas, path));
      if (!root) report.corrupt.push_back(path);
      const bool good = root && check_tree(cas, path, *root, report);
      if (!good && repair)
        ++(::unlink((cas.cachedir() + "/" + path).c_str()) == 0 ? report.removed : report.left);
    }
  }
  CHECK(check_twins(cas, repair, report));
  for (auto* found : {&report.corrupt, &report.derived}) std::sort(found->begin(), found->end());
  return report;
}

}  // namespace sluice::store
