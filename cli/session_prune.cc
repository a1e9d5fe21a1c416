#include "cli/session_prune.h"

#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fts.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "wire/session.h"

namespace sluice::cli {

namespace {

// A directory without a lock is a session that begins, or one of which removing was cut short.
constexpr std::time_t kBeginning = 3600;

std::uint64_t bytes_below(const std::string& directory) {
  std::string path = directory;
  char* const roots[] = {path.data(), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (walk == nullptr) return 0;
  std::uint64_t bytes = 0;
  while (const FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_F)
      bytes += static_cast<std::uint64_t>(entry->fts_statp->st_blocks) * 512;
  }
  ::fts_close(walk);
  return bytes;
}

// The lock of a session that is over; none while it lives, or may begin to.
UniqueFd lock_finished(const std::string& state) {
  UniqueFd lock(::open((state + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!lock && errno == ENOENT) {
    struct stat info {};
    if (::stat(state.c_str(), &info) != 0 || info.st_ctime + kBeginning > std::time(nullptr))
      return {};
    return UniqueFd(::open(state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
  return lock;
}

// Its supervisor was killed before it could write that the session ended.
bool died(const std::string& state) {
  const auto text = read_file(state + "/session.json");
  if (!text) return false;
  const auto description = parse_json(*text);
  return description.is_object() && description.value("state", nlohmann::json()) == "active";
}

}  // namespace

std::size_t prune_sessions(const std::string& own, const SessionBounds& bounds) {
  const auto ids = wire::list_session_ids();
  std::size_t kept = 0;
  std::size_t removed = 0;
  std::uint64_t bytes = 0;
  // Too many, but not for another reason; locked, so that nobody goes on with one meanwhile.
  std::vector<std::pair<std::string, UniqueFd>> surplus;
  // Sessions from the newest to the oldest: their ids begin with the time.
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    const auto paths = wire::SessionPaths::of(*id);
    if (*id == own || !paths) continue;
    UniqueFd lock = lock_finished(paths->state);
    struct stat info {};
    if (!lock || ::stat(paths->state.c_str(), &info) != 0) continue;
    const bool old = info.st_mtime + bounds.age_s < std::time(nullptr);
    if (died(paths->state)) {
      if (old && remove_tree(paths->state)) ++removed;
      continue;
    }
    bytes += bytes_below(paths->state);
    const bool small = !old && bytes <= bounds.bytes;
    if (kept == 0 || (kept < bounds.count && small)) {
      ++kept;
    } else if (small) {
      surplus.emplace_back(paths->state, std::move(lock));
    } else if (remove_tree(paths->state)) {
      ++removed;
    }
  }
  if (surplus.size() <= bounds.surplus) return removed;
  for (const auto& [state, lock] : surplus) {
    if (remove_tree(state)) ++removed;
  }
  return removed;
}

}  // namespace sluice::cli
