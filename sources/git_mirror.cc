#include "sources/git_mirror.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/try.h"

namespace sluice::sources {

namespace fs = std::filesystem;

namespace {

constexpr int kLook = 50;  // ms between looks whether the lock is free

// Whether a process works in `directory`, as git does in the repository that it fetches into.
bool somebody_works_in(const std::string& directory) {
  std::error_code error;
  const fs::path real = fs::canonical(directory, error);
  if (error) return false;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.empty() || name[0] < '0' || name[0] > '9') continue;
    std::error_code ignored;
    if (fs::read_symlink(entry.path() / "cwd", ignored) == real) return true;
  }
  return false;
}

void collect_leftovers(const fs::path& directory, std::vector<fs::path>& out) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    const bool of_objects = name.starts_with("tmp_");
    if (at->is_regular_file(error) && (name.ends_with(".lock") || of_objects))
      out.push_back(at->path());
  }
}

// Whether git speaks of objects here that aren't as they should be, and not of the server's.
bool speaks_of_damage(const ToolRun& run) {
  if (run.status == 0) return false;
  static constexpr std::string_view kWords[] = {"did not send all necessary objects",
                                                "does not match index",
                                                "is corrupt",
                                                "bad object",
                                                "unable to read",
                                                "Could not read",
                                                "cannot be accessed",
                                                "missing blob",
                                                "missing tree"};
  std::string_view rest = run.errors;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("remote:")) continue;
    if (std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view words) {
          return line.find(words) != std::string_view::npos;
        }))
      return true;
  }
  return false;
}

}  // namespace

bool GitMirror::exists() const { return path_exists(path_ + "/HEAD"); }

Result<UniqueFd> GitMirror::open() {
  const std::string parent = path_.substr(0, path_.rfind('/'));
  CHECK(make_directories(parent));
  Stop stop = git_.surroundings().stop();
  for (;;) {
    auto lock = TRY(try_lock_for("git-mirror", path_));
    if (!lock) {
      pollfd fd{stop.fd, POLLIN, 0};
      if (::poll(&fd, 1, kLook) < 0 && errno != EINTR) return fail_errno(errno, "poll");
      CHECK(git_.surroundings().check());
      continue;
    }
    if (exists()) {
      CHECK(clean());
      return std::move(*lock);
    }
    CHECK(make());
    return std::move(*lock);
  }
}

Status GitMirror::make() const {
  // The mirror appears whole, since others look at it without the lock.
  std::string fresh = fmt::format("{}/.new-XXXXXX", path_.substr(0, path_.rfind('/')));
  if (::mkdtemp(fresh.data()) == nullptr) return fail_errno(errno, fresh);
  auto made = git_.output({.arguments = {"init", "--quiet", "--bare", fresh}},
                          "Failed to initialise repository");
  if (made && ::chmod(fresh.c_str(), 0755) == 0 && ::rename(fresh.c_str(), path_.c_str()) == 0)
    return {};
  const int cause = errno;
  std::error_code ignored;
  fs::remove_all(fresh, ignored);
  if (!made) return forward(made);
  // BuildStream, which doesn't know the lock, may have been quicker.
  if ((cause == ENOTEMPTY || cause == EEXIST) && exists()) return {};
  return fail_errno(cause, path_);
}

Status GitMirror::clean() const {
  std::vector<fs::path> left;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error)) {
    if (entry.is_regular_file(error) && entry.path().extension() == ".lock")
      left.push_back(entry.path());
  }
  collect_leftovers(fs::path(path_) / "refs", left);
  collect_leftovers(fs::path(path_) / "objects" / "pack", left);
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(path_) / "objects", error)) {
    if (entry.path().filename().string().starts_with("incoming-") ||
        entry.path().filename().string().starts_with("tmp_objdir-"))
      left.push_back(entry.path());
  }
  if (left.empty() || somebody_works_in(path_)) return {};
  for (const fs::path& path : left) fs::remove_all(path, error);
  return {};
}

Result<ToolRun> GitMirror::run(std::vector<std::string> arguments, std::string_view input) const {
  return git_.run(
      {.arguments = std::move(arguments), .directory = path_, .git_dir = path_, .input = input});
}

Result<std::string> GitMirror::output(std::vector<std::string> arguments, std::string_view failure,
                                      std::string_view input) const {
  return git_.output(
      {.arguments = std::move(arguments), .directory = path_, .git_dir = path_, .input = input},
      failure);
}

Result<bool> GitMirror::has_commit(const std::string& rev) const {
  if (!exists() || rev.empty() || rev.front() == '-') return false;
  auto found = TRY(run({"rev-parse", "--quiet", "--verify", rev + "^{commit}"}));
  if (found.status != 0) return false;
  const std::string id = found.output.substr(0, found.output.find('\n'));
  if (path_exists(fmt::format("{}/{}", path_, kept_name(id)))) return true;
  auto loose = TRY(run({"rev-list", "--max-count=1", id, "--not", "--all"}));
  if (loose.status == 0 && loose.output.empty()) return true;
  auto whole = TRY(run({"rev-list", "--count", id}));
  return whole.status == 0;
}

Result<bool> GitMirror::is_readable(const std::string& rev) const {
  // What a pack is made of is read, and its checksums are looked at.
  GitCall call{.arguments = {"pack-objects", "--quiet", "--stdout", "--window=0",
                             rev.empty() ? "--all" : "--revs"},
               .directory = path_,
               .git_dir = path_,
               .discard = true};
  const std::string line = rev + "\n";
  if (!rev.empty()) call.input = line;
  return TRY(git_.run(call)).status == 0;
}

void GitMirror::warn_damaged() const {
  git_.surroundings().message(Weight::kWarning,
                              fmt::format("{}Objects are missing in {}: they are fetched again",
                                          where(git_.source()), path_));
}

Result<ToolRun> GitMirror::fetch(const std::string& url, const Fetch& what) const {
  ToolRun ended = TRY(fetch_once(url, what));
  // It may be the server that lied, of objects that were never here.
  if (ended.silent || !speaks_of_damage(ended) || TRY(is_readable(""))) return ended;
  if (!what.again) {
    warn_damaged();
    Fetch again = what;
    again.again = true;
    ended = TRY(fetch_once(url, again));
    if (!speaks_of_damage(ended)) return ended;
  }
  if (somebody_works_in(path_)) return ended;
  const std::string aside = path_ + ".damaged";
  CHECK(remove_tree(aside));
  if (::rename(path_.c_str(), aside.c_str()) != 0) return fail_errno(errno, aside);
  git_.surroundings().message(Weight::kWarning, fmt::format("{}What is left of {} lies in {}",
                                                            where(git_.source()), path_, aside));
  CHECK(make());
  Fetch anew = what;
  anew.again = false;
  return fetch_once(url, anew);
}

Result<ToolRun> GitMirror::fetch_once(const std::string& url, const Fetch& what) const {
  const GitUrl there = git_url(url);
  GitCall call{.arguments = {"fetch", "--progress", "--no-tags", "--no-recurse-submodules"},
               .directory = path_,
               .git_dir = path_,
               .url = url};
  if (!there.authorization.empty())
    call.config = {{"http.extraHeader", "Authorization: " + there.authorization}};
  if (what.depth > 0) {
    call.arguments.push_back(fmt::format("--depth={}", what.depth));
  } else if (path_exists(path_ + "/shallow")) {
    call.arguments.push_back("--unshallow");
  }
  if (what.prune) call.arguments.push_back("--prune");
  if (what.again) call.arguments.push_back("--refetch");
  call.arguments.insert(call.arguments.end(), {"--", there.url});
  call.arguments.insert(call.arguments.end(), what.refspecs.begin(), what.refspecs.end());
  return git_.run(call);
}

Result<ToolRun> GitMirror::list(const std::string& url, std::vector<Ref>& refs,
                                std::string* head) const {
  const GitUrl there = git_url(url);
  GitCall call{.arguments = {"ls-remote"}, .directory = path_, .url = url};
  if (head != nullptr) call.arguments.emplace_back("--symref");
  call.arguments.insert(call.arguments.end(), {"--", there.url});
  if (exists()) call.git_dir = path_;
  if (!exists()) call.directory = "/";
  if (!there.authorization.empty())
    call.config = {{"http.extraHeader", "Authorization: " + there.authorization}};
  auto listed = git_.run(call);
  if (!listed || listed->status != 0) return listed;
  std::string_view rest = listed->output;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    if (head != nullptr && line.starts_with("ref: ")) {
      if (line.substr(tab + 1) == "HEAD") *head = line.substr(5, tab - 5);
      continue;
    }
    refs.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))});
  }
  return listed;
}

Status with_mended_mirror(const std::string& directory, const std::function<Status()>& attempt,
                          const std::function<Result<bool>()>& mend) {
  std::error_code error;
  const bool empty = fs::is_empty(directory, error);
  Status done = attempt();
  if (done || done.error().domain == "job" || !empty || error) return done;
  if (!TRY(mend())) return done;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error))
    CHECK(remove_tree(entry.path()));
  return attempt();
}

Status try_urls(GitProgram& git, const std::string& url, const std::vector<std::string>& urls,
                std::string_view activity,
                const std::function<Status(const std::string& url)>& attempt) {
  Surroundings& surroundings = git.surroundings();
  const std::vector<std::string> one = {url};
  for (unsigned round = 1;; ++round) {
    const auto once = [&](const Address& address) -> Status {
      const std::string& there = address.url;
      Step step(surroundings, fmt::format("{} {}", activity, without_credentials(there)));
      if (there.starts_with('-')) {
        return source_error(
            git.source(), "bad-url",
            fmt::format("{}'{}' is no URL of a repository", where(git.source()), there));
      }
      CHECK(attempt(there));
      step.success();
      return {};
    };
    Status done = first_of(git.source(), surroundings, urls.empty() ? one : urls, once);
    if (done || done.error().domain == "job") return done;
    const bool temporary = done.error().reason == kFetchFailed;
    if (!temporary || round > surroundings.settings().network_retries) return done;
    CHECK(surroundings.wait_for_retry(round, done.error()));
  }
}

}  // namespace sluice::sources
