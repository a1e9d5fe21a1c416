#include "loader/cache/snapshot_cache.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include <sched.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "base/threads.h"

namespace sluice::loader {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
// Lookups that cost less than a thread.
constexpr std::size_t kFew = 256;

// Whether a lookup's stamp tells that it is the same.
enum class Trust : std::uint8_t {
  kNone,   // it never does
  kLater,  // only the stamp that is taken now, since the file had just been changed
  kFull,
};

struct KeptLookup {
  Lookup::Kind kind = Lookup::Kind::kFile;
  std::string_view path;
  std::string_view outcome;
  FileStamp stamp;
  Trust trust = Trust::kNone;
};

void write_lookup(std::string& out, const Lookup& lookup, std::int64_t began_ns) {
  kept_number(out, static_cast<std::uint64_t>(lookup.kind), 1);
  kept_text(out, lookup.path);
  kept_text(out, lookup.outcome);
  const Trust trust = !lookup.stamped                  ? Trust::kNone
                      : lookup.stamp.settled(began_ns) ? Trust::kFull
                                                       : Trust::kLater;
  kept_number(out, static_cast<std::uint64_t>(trust), 1);
  if (trust != Trust::kFull) return;
  kept_number(out, lookup.stamp.device, 8);
  kept_number(out, lookup.stamp.inode, 8);
  kept_number(out, lookup.stamp.size, 8);
  kept_number(out, static_cast<std::uint64_t>(lookup.stamp.mtime_ns), 8);
  kept_number(out, static_cast<std::uint64_t>(lookup.stamp.ctime_ns), 8);
  kept_number(out, lookup.stamp.mode, 4);
}

KeptLookup read_lookup(KeptReader& reader) {
  KeptLookup lookup;
  lookup.kind = static_cast<Lookup::Kind>(reader.number(1));
  lookup.path = reader.text();
  lookup.outcome = reader.text();
  lookup.trust = static_cast<Trust>(reader.number(1));
  if (lookup.trust != Trust::kFull) return lookup;
  lookup.stamp.device = reader.number(8);
  lookup.stamp.inode = reader.number(8);
  lookup.stamp.size = reader.number(8);
  lookup.stamp.mtime_ns = static_cast<std::int64_t>(reader.number(8));
  lookup.stamp.ctime_ns = static_cast<std::int64_t>(reader.number(8));
  lookup.stamp.mode = static_cast<std::uint32_t>(reader.number(4));
  return lookup;
}

enum class Verdict { kSame, kSameContent, kChanged };

Verdict judge(const KeptLookup& lookup) {
  const std::string path(lookup.path);
  if (lookup.trust == Trust::kFull) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && FileStamp::of(info) == lookup.stamp)
      return Verdict::kSame;
  }
  if (look_again(lookup.kind, path) != lookup.outcome) return Verdict::kChanged;
  return lookup.trust != Trust::kNone ? Verdict::kSameContent : Verdict::kSame;
}

bool is_local(Lookup::Kind kind) {
  return kind == Lookup::Kind::kLocal || kind == Lookup::Kind::kWorkspace;
}

}  // namespace

SnapshotCache::SnapshotCache() : files_("loads", kMostBytes) {}

std::string SnapshotCache::question(std::string_view request) {
  std::string all;
  kept_text(all, request);
  utsname name{};
  if (::uname(&name) == 0) {
    for (const char* part : {name.sysname, name.release, name.machine}) kept_text(all, part);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    kept_number(all, static_cast<std::uint64_t>(CPU_COUNT(&set)), 4);
  for (const char* variable :
       {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}) {
    const char* value = std::getenv(variable);
    kept_text(all, value != nullptr ? value : "");
  }
  // The working directory is part of the question, for relative paths of a request begin there.
  char* directory = ::getcwd(nullptr, 0);
  kept_text(all, directory != nullptr ? directory : "");
  std::free(directory);
  kept_number(all, ::geteuid(), 4);
  return sha256_hex(all);
}

std::optional<SnapshotCache::Answer> SnapshotCache::find(const std::string& question,
                                                         const DigestLocal& digest_local,
                                                         const DigestLocal& digest_workspace) {
  const std::int64_t began_ns = system_clock().wall_ns();
  const auto kept = files_.read(question);
  if (!kept) return std::nullopt;
  KeptReader reader(*kept);
  std::vector<KeptLookup> lookups;
  // The number of lookups stands behind them.
  while (reader.good() && reader.number(1) != 0) lookups.push_back(read_lookup(reader));
  if (reader.number(4) != lookups.size()) return std::nullopt;
  Answer answer;
  answer.head = reader.text();
  if (!reader.good()) return std::nullopt;

  std::atomic<bool> changed{false};
  std::atomic<bool> stale{false};  // the same content, under another stamp
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    while (!changed.load(std::memory_order_relaxed)) {
      const std::size_t from = next.fetch_add(kFew);
      if (from >= lookups.size()) return;
      for (std::size_t i = from; i < std::min(from + kFew, lookups.size()); ++i) {
        if (is_local(lookups[i].kind)) continue;
        const Verdict verdict = judge(lookups[i]);
        if (verdict == Verdict::kChanged) changed = true;
        if (verdict == Verdict::kSameContent) stale = true;
      }
    }
  };
  {
    Helpers helpers;
    helpers.start(std::min<std::size_t>(std::thread::hardware_concurrency(), lookups.size() / kFew),
                  work);
    work();
  }
  if (changed) return std::nullopt;
  for (const KeptLookup& lookup : lookups) {
    if (!is_local(lookup.kind)) continue;
    const auto digest = (lookup.kind == Lookup::Kind::kLocal ? digest_local : digest_workspace)(
        std::string(lookup.path));
    if (!digest || outcome_of(*digest) != lookup.outcome) return std::nullopt;
  }
  answer.body = reader.rest();
  if (stale) {
    // The answer is kept again with the stamps of now, so that the next time needs no look inside.
    Lookups again;
    for (const KeptLookup& lookup : lookups) {
      Lookup fresh{lookup.kind, std::string(lookup.path), std::string(lookup.outcome), {}, false};
      struct stat info {};
      if (lookup.trust != Trust::kNone && ::stat(fresh.path.c_str(), &info) == 0) {
        fresh.stamp = FileStamp::of(info);
        fresh.stamped = true;
      }
      again.note(std::move(fresh));
    }
    keep(question, again, began_ns, answer.head, answer.body);
  }
  return answer;
}

void SnapshotCache::keep(const std::string& question, const Lookups& lookups, std::int64_t began_ns,
                         std::string_view head, std::string_view body) {
  std::string text;
  std::uint64_t count = 0;
  lookups.each([&](const Lookup& lookup) {
    kept_number(text, 1, 1);
    write_lookup(text, lookup, began_ns);
    ++count;
  });
  kept_number(text, 0, 1);
  kept_number(text, count, 4);
  kept_text(text, head);
  files_.write(question, text, body);
}

}  // namespace sluice::loader
