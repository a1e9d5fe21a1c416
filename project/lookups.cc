#include "project/lookups.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "project/kept_file.h"
#include "project/parse_cache.h"
#include "project/read_ahead.h"

namespace sluice::project {

namespace {

constexpr std::size_t kBlock = 64 * 1024;

Result<std::string_view> read_whole(Arena& arena, const std::string& path, FileStamp& stamp) {
  // Opening doesn't wait for anybody at the other end of a pipe.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return fail("load", "missing-file", fmt::format("Could not find file at {}", path));
    }
    return fail_errno(errno, path);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, path);
  if (S_ISDIR(info.st_mode))
    return fail("load", "loading-directory", fmt::format("{} is a directory", path));
  if (!S_ISREG(info.st_mode))
    return fail("load", "invalid-yaml", fmt::format("{} is not a regular file", path));
  if (static_cast<std::uint64_t>(info.st_size) > kLargestFile) {
    return fail("load", "invalid-yaml",
                fmt::format("{} is larger than {} bytes", path, kLargestFile));
  }
  stamp = FileStamp::of(info);
  // A capacity of one byte more shows the end; a file that grows meanwhile is read to its end all
  // the same.
  std::size_t capacity = static_cast<std::size_t>(info.st_size) + 1;
  std::size_t size = 0;
  char* text = static_cast<char*>(arena.allocate(capacity, 1));
  while (true) {
    const ssize_t count = ::read(fd.get(), text + size, capacity - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, path);
    size += static_cast<std::size_t>(count);
    if (size < capacity) break;  // of a regular file there is no more
    if (capacity > kLargestFile)
      return fail("load", "invalid-yaml",
                  fmt::format("{} is larger than {} bytes", path, kLargestFile));
    capacity *= 2;
    char* larger = static_cast<char*>(arena.allocate(capacity, 1));
    std::memcpy(larger, text, size);
    text = larger;
  }
  return std::string_view(text, size);
}

Lookups::Resolved look_at(const std::string& path) {
  Lookups::Resolved resolved;
  struct stat info {};
  resolved.is_link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real == nullptr) {
    resolved.error = std::error_code(errno, std::generic_category());
    return resolved;
  }
  resolved.path = real.get();
  if (::stat(real.get(), &info) == 0) resolved.type = info.st_mode & S_IFMT;
  return resolved;
}

std::string outcome_of(const Lookups::Resolved& resolved) {
  return fmt::format("{} {} {} {}", resolved.is_link ? 1 : 0, resolved.error.value(), resolved.type,
                     resolved.path);
}

std::vector<Lookups::Entry> read_directory(const std::string& path, FileStamp& stamp,
                                           bool& stamped) {
  std::vector<Lookups::Entry> entries;
  DIR* stream = ::opendir(path.c_str());
  if (stream == nullptr) return entries;
  struct stat info {};
  // A directory's own times don't tell where links in it lead.
  stamped = ::fstat(::dirfd(stream), &info) == 0;
  stamp = FileStamp::of(info);
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    Lookups::Entry listed{std::string(name), entry->d_type == DT_DIR, entry->d_type == DT_LNK};
    if (entry->d_type == DT_UNKNOWN &&
        ::fstatat(::dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      listed.is_directory = S_ISDIR(info.st_mode);
      listed.is_link = S_ISLNK(info.st_mode);
    }
    if (listed.is_link) {
      stamped = false;
      listed.is_directory =
          ::fstatat(::dirfd(stream), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
    }
    entries.push_back(std::move(listed));
  }
  ::closedir(stream);
  return entries;
}

std::string outcome_of(const std::vector<Lookups::Entry>& entries) {
  Sha256 hash;
  for (const Lookups::Entry& entry : entries) {
    hash.update(entry.name);
    hash.update(std::string_view(entry.is_link ? "\0l" : "\0-", 2));
    hash.update(std::string_view(entry.is_directory ? "d\0" : "f\0", 2));
  }
  return hash.hex();
}

}  // namespace

Lookups::Lookups() = default;
Lookups::~Lookups() = default;

void Lookups::start(const std::string& project_directory) {
  parsed_ = std::make_unique<ParseCache>(project_directory);
  ahead_ = std::make_unique<ReadAhead>(parsed_.get());
}

void Lookups::finish() {
  if (parsed_ != nullptr) parsed_->save();
}

std::string outcome_of(const model::Digest& digest) {
  return fmt::format("{}/{}", digest.hash, digest.size);
}

void Lookups::note(Lookup lookup) {
  const std::uint64_t name =
      std::hash<std::string_view>{}(lookup.path) * 8 + static_cast<std::uint64_t>(lookup.kind);
  const std::lock_guard lock(mutex_);
  if (!seen_.insert(name).second) return;
  if (packed_.empty() || packed_.back().size() > kBlock) {
    packed_.emplace_back();
    packed_.back().reserve(kBlock + 1024);
  }
  std::string& out = packed_.back();
  kept_number(out, static_cast<std::uint64_t>(lookup.kind), 1);
  kept_text(out, lookup.path);
  kept_text(out, lookup.outcome);
  kept_number(out, lookup.stamped ? 1 : 0, 1);
  out.append(reinterpret_cast<const char*>(&lookup.stamp), sizeof lookup.stamp);
}

void Lookups::each(const std::function<void(const Lookup&)>& f) const {
  const std::lock_guard lock(mutex_);
  for (const std::string& block : packed_) {
    KeptReader reader(block);
    while (!reader.rest().empty()) {
      Lookup lookup;
      lookup.kind = static_cast<Lookup::Kind>(reader.number(1));
      lookup.path = reader.text();
      lookup.outcome = reader.text();
      lookup.stamped = reader.number(1) != 0;
      std::memcpy(&lookup.stamp, reader.bytes(sizeof lookup.stamp).data(), sizeof lookup.stamp);
      f(lookup);
    }
  }
}

Result<std::string_view> Lookups::read(Arena& arena, Lookup& lookup) {
  auto text = read_whole(arena, lookup.path, lookup.stamp);
  if (text) {
    lookup.outcome = sha256_hex(*text);
    lookup.stamped = true;
  }
  return text;
}

Result<std::string_view> Lookups::read(Arena& arena, const std::string& path, std::string* sha256) {
  Lookup lookup{Lookup::Kind::kFile, path};
  auto text = read(arena, lookup);
  if (text && sha256 != nullptr) *sha256 = lookup.outcome;
  note(std::move(lookup));
  return text;
}

bool Lookups::exists(const std::string& path) {
  const std::string outcome = look_again(Lookup::Kind::kExists, path);
  note({Lookup::Kind::kExists, path, outcome, {}, false});
  return outcome == "1";
}

Lookups::Resolved Lookups::resolve(const std::string& path) {
  Resolved resolved = look_at(path);
  note({Lookup::Kind::kPath, path, outcome_of(resolved), {}, false});
  return resolved;
}

std::vector<Lookups::Entry> Lookups::list(const std::string& path) {
  Lookup lookup{Lookup::Kind::kDirectory, path};
  std::vector<Entry> entries = read_directory(path, lookup.stamp, lookup.stamped);
  lookup.outcome = outcome_of(entries);
  note(std::move(lookup));
  return entries;
}

std::optional<std::string> Lookups::environment(const std::string& name) {
  const std::string outcome = look_again(Lookup::Kind::kEnvironment, name);
  note({Lookup::Kind::kEnvironment, name, outcome, {}, false});
  if (outcome.empty()) return std::nullopt;
  return outcome.substr(1);
}

Result<std::uint64_t> Lookups::disk_size(const std::string& path) {
  const std::string outcome = look_again(Lookup::Kind::kDiskSize, path);
  const int error = errno;
  note({Lookup::Kind::kDiskSize, path, outcome, {}, false});
  if (outcome.empty()) return fail_errno(error, path);
  return std::strtoull(outcome.c_str(), nullptr, 10);
}

void Lookups::note_local(const std::string& path, const model::Digest& digest) {
  note({Lookup::Kind::kLocal, path, outcome_of(digest), {}, false});
}

void Lookups::note_workspace(const std::string& path, const model::Digest& digest) {
  note({Lookup::Kind::kWorkspace, path, outcome_of(digest), {}, false});
}

std::vector<Lookup> Lookups::noted() const {
  std::vector<Lookup> lookups;
  each([&](const Lookup& lookup) { lookups.push_back(lookup); });
  return lookups;
}

std::string look_again(Lookup::Kind kind, const std::string& path) {
  switch (kind) {
    case Lookup::Kind::kFile: {
      Arena arena;
      FileStamp stamp;
      const auto text = read_whole(arena, path, stamp);
      return text ? sha256_hex(*text) : "";
    }
    case Lookup::Kind::kExists: {
      struct stat info {};
      return ::lstat(path.c_str(), &info) == 0 ? "1" : "0";
    }
    case Lookup::Kind::kPath: return outcome_of(look_at(path));
    case Lookup::Kind::kDirectory: {
      FileStamp stamp;
      bool stamped = false;
      return outcome_of(read_directory(path, stamp, stamped));
    }
    case Lookup::Kind::kEnvironment: {
      const char* value = std::getenv(path.c_str());
      return value != nullptr ? fmt::format("={}", value) : "";
    }
    case Lookup::Kind::kDiskSize: {
      struct statvfs info {};
      if (::statvfs(path.c_str(), &info) != 0) return "";
      return fmt::format("{}", static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize);
    }
    case Lookup::Kind::kLocal:
    case Lookup::Kind::kWorkspace: return "";
  }
  return "";
}

}  // namespace sluice::project
