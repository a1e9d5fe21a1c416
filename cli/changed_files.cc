#include "cli/changed_files.h"

#include <algorithm>
#include <map>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/directory.h"

namespace sluice::cli {

namespace {

// An entry of the directory or of the tree.
struct Entry {
  enum class Type { kNone, kFile, kLink, kDirectory } type = Type::kNone;
  store::Digest digest;  // of a file or directory in the store
  std::string target;
  bool executable = false;
  std::uint64_t size = 0;
};

using Entries = std::map<std::string, Entry>;

Entry on_disk(const std::string& path) {
  struct stat info {};
  Entry entry;
  if (::lstat(path.c_str(), &info) != 0) return entry;
  entry.size = static_cast<std::uint64_t>(info.st_size);
  if (S_ISREG(info.st_mode)) {
    entry.type = Entry::Type::kFile;
    entry.executable = (info.st_mode & S_IXUSR) != 0;
  } else if (S_ISDIR(info.st_mode)) {
    entry.type = Entry::Type::kDirectory;
  } else if (S_ISLNK(info.st_mode)) {
    entry.type = Entry::Type::kLink;
    std::string target(4096, '\0');
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    entry.target = target.substr(0, length < 0 ? 0 : static_cast<std::size_t>(length));
  }
  return entry;
}

Entries list_disk(const std::string& directory) {
  Entries entries;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  while (const dirent* each = stream ? ::readdir(stream.get()) : nullptr) {
    const std::string name = each->d_name;
    if (name == "." || name == "..") continue;
    Entry entry = on_disk(directory + "/" + name);
    if (entry.type != Entry::Type::kNone) entries.emplace(name, std::move(entry));
  }
  return entries;
}

Entries list_store(const store::Directory& directory) {
  Entries entries;
  for (const auto& file : directory.files) {
    entries[file.name] = {Entry::Type::kFile, file.digest, "", file.executable,
                          static_cast<std::uint64_t>(file.digest.size)};
  }
  for (const auto& sub : directory.directories)
    entries[sub.name] = {Entry::Type::kDirectory, sub.digest, "", false, 0};
  for (const auto& link : directory.symlinks)
    entries[link.name] = {Entry::Type::kLink, {}, link.target, false, 0};
  return entries;
}

bool same_file(const Entry& then, const Entry& now, const std::string& path) {
  if (then.executable != now.executable || then.size != now.size) return false;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return false;
  const auto digest = store::digest_of_fd(fd.get());
  return digest && *digest == then.digest;
}

}  // namespace

ChangedFiles changed_files(const store::Cas& cas, const std::string& before,
                           const std::string& path, std::size_t limit) {
  ChangedFiles out;
  struct stat info {};
  store::Digest root{before, 0};
  if (!store::valid_digest(root) || ::stat(cas.object_path(root).c_str(), &info) != 0) return out;
  root.size = info.st_size;
  const Entry top = on_disk(path);
  struct Pair {
    std::string name;    // "" for the top, else with a '/' at its end
    store::Digest then;  // empty: it wasn't
    bool now = false;
  };
  std::vector<Pair> pending = {{"", root, top.type == Entry::Type::kDirectory}};
  while (!pending.empty()) {
    const Pair pair = std::move(pending.back());
    pending.pop_back();
    Entries then;
    Entries now;
    if (!pair.then.empty()) {
      const auto directory = store::read_directory(cas, pair.then);
      if (!directory) return {};
      then = list_store(*directory);
    }
    if (pair.now) now = list_disk(path + "/" + pair.name);
    if (pair.name.empty() && top.type == Entry::Type::kFile)
      now.emplace(path.substr(path.rfind('/') + 1), top);
    std::map<std::string, int> names;
    for (const auto& [name, entry] : then) names[name];
    for (const auto& [name, entry] : now) names[name];
    for (const auto& [name, unused] : names) {
      const Entry old = then.contains(name) ? then[name] : Entry();
      const Entry fresh = now.contains(name) ? now[name] : Entry();
      const bool was_directory = old.type == Entry::Type::kDirectory;
      const bool is_directory = fresh.type == Entry::Type::kDirectory;
      if (was_directory || is_directory) {
        if (pair.name.size() > 8192) return {};
        pending.push_back(
            {pair.name + name + "/", was_directory ? old.digest : store::Digest{}, is_directory});
      }
      const bool was = old.type != Entry::Type::kNone && !was_directory;
      const bool is = fresh.type != Entry::Type::kNone && !is_directory;
      if (!was && !is) continue;
      const std::string file =
          top.type == Entry::Type::kFile ? path : path + "/" + pair.name + name;
      if (was && is && old.type == fresh.type &&
          (old.type == Entry::Type::kLink ? old.target == fresh.target
                                          : same_file(old, fresh, file)))
        continue;
      if (out.files.size() == limit) {
        out.more = true;
        pending.clear();
        break;
      }
      out.files.push_back({pair.name + name, !was ? "added" : !is ? "removed" : "changed"});
    }
  }
  std::sort(out.files.begin(), out.files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

}  // namespace sluice::cli
