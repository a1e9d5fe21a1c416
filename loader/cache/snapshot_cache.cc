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

namespace sluice::loader {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
// Looking at so few files costs less than a thread.
constexpr std::size_t kFew = 256;

// Whether an input's stamp tells that it is the same.
enum class Trust : std::uint8_t {
  kNone,   // it never does
  kLater,  // when it has been taken anew: the file had just been changed
  kFull,
};

struct KeptInput {
  Input::Kind kind = Input::Kind::kFile;
  std::string_view path;
  std::string_view outcome;
  FileStamp stamp;
  Trust trust = Trust::kNone;
};

void write_input(std::string& out, const Input& input, std::int64_t began_ns) {
  kept_number(out, static_cast<std::uint64_t>(input.kind), 1);
  kept_text(out, input.path);
  kept_text(out, input.outcome);
  const Trust trust = !input.stamped                  ? Trust::kNone
                      : input.stamp.settled(began_ns) ? Trust::kFull
                                                      : Trust::kLater;
  kept_number(out, static_cast<std::uint64_t>(trust), 1);
  if (trust != Trust::kFull) return;
  kept_number(out, input.stamp.device, 8);
  kept_number(out, input.stamp.inode, 8);
  kept_number(out, input.stamp.size, 8);
  kept_number(out, static_cast<std::uint64_t>(input.stamp.mtime_ns), 8);
  kept_number(out, static_cast<std::uint64_t>(input.stamp.ctime_ns), 8);
  kept_number(out, input.stamp.mode, 4);
}

KeptInput read_input(KeptReader& reader) {
  KeptInput input;
  input.kind = static_cast<Input::Kind>(reader.number(1));
  input.path = reader.text();
  input.outcome = reader.text();
  input.trust = static_cast<Trust>(reader.number(1));
  if (input.trust != Trust::kFull) return input;
  input.stamp.device = reader.number(8);
  input.stamp.inode = reader.number(8);
  input.stamp.size = reader.number(8);
  input.stamp.mtime_ns = static_cast<std::int64_t>(reader.number(8));
  input.stamp.ctime_ns = static_cast<std::int64_t>(reader.number(8));
  input.stamp.mode = static_cast<std::uint32_t>(reader.number(4));
  return input;
}

enum class Verdict { kSame, kSameContent, kChanged };

Verdict judge(const KeptInput& input) {
  const std::string path(input.path);
  if (input.trust == Trust::kFull) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && FileStamp::of(info) == input.stamp)
      return Verdict::kSame;
  }
  if (look_again(input.kind, path) != input.outcome) return Verdict::kChanged;
  return input.trust != Trust::kNone ? Verdict::kSameContent : Verdict::kSame;
}

bool is_local(Input::Kind kind) {
  return kind == Input::Kind::kLocal || kind == Input::Kind::kWorkspace;
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
  // Relative paths of a request begin here.
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
  std::vector<KeptInput> inputs;
  // Their number stands behind them.
  while (reader.good() && reader.number(1) != 0) inputs.push_back(read_input(reader));
  if (reader.number(4) != inputs.size()) return std::nullopt;
  Answer answer;
  answer.head = reader.text();
  if (!reader.good()) return std::nullopt;

  std::atomic<bool> changed{false};
  std::atomic<bool> stale{false};  // unchanged, but not to be seen by the stamp
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    while (!changed.load(std::memory_order_relaxed)) {
      const std::size_t from = next.fetch_add(kFew);
      if (from >= inputs.size()) return;
      for (std::size_t i = from; i < std::min(from + kFew, inputs.size()); ++i) {
        if (is_local(inputs[i].kind)) continue;
        const Verdict verdict = judge(inputs[i]);
        if (verdict == Verdict::kChanged) changed = true;
        if (verdict == Verdict::kSameContent) stale = true;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    const std::size_t most =
        std::min<std::size_t>(std::thread::hardware_concurrency(), inputs.size() / kFew);
    for (std::size_t i = 1; i < most; ++i) helpers.emplace_back(work);
    work();
  }
  if (changed) return std::nullopt;
  for (const KeptInput& input : inputs) {
    if (!is_local(input.kind)) continue;
    const auto digest = (input.kind == Input::Kind::kLocal ? digest_local : digest_workspace)(
        std::string(input.path));
    if (!digest || outcome_of(*digest) != input.outcome) return std::nullopt;
  }
  answer.body = reader.rest();
  if (stale) {
    // With the stamps of now, so that the next time needs no look inside.
    Inputs again;
    for (const KeptInput& input : inputs) {
      Input fresh{input.kind, std::string(input.path), std::string(input.outcome), {}, false};
      struct stat info {};
      if (input.trust != Trust::kNone && ::stat(fresh.path.c_str(), &info) == 0) {
        fresh.stamp = FileStamp::of(info);
        fresh.stamped = true;
      }
      again.note(std::move(fresh));
    }
    keep(question, again, began_ns, answer.head, answer.body);
  }
  return answer;
}

void SnapshotCache::keep(const std::string& question, const Inputs& inputs, std::int64_t began_ns,
                         std::string_view head, std::string_view body) {
  std::string text;
  std::uint64_t count = 0;
  inputs.each([&](const Input& input) {
    kept_number(text, 1, 1);
    write_input(text, input, began_ns);
    ++count;
  });
  kept_number(text, 0, 1);
  kept_number(text, count, 4);
  kept_text(text, head);
  files_.write(question, text, body);
}

}  // namespace sluice::loader
