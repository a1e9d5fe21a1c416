// GitMirror is a repository of git below the source directory: a bare mirror, which sessions share,
// BuildStream's too. One process at a time changes it (base/lock.h), and what one that was killed
// left behind is no hindrance to the next.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "sources/git_program.h"

namespace sluice::sources {

// The reason of errors that another try may mend.
inline constexpr std::string_view kFetchFailed = "fetch-failed";

class GitMirror {
 public:
  // `path` is the mirror's.
  GitMirror(GitProgram& git, std::string path) : git_(git), path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  bool exists() const;
  // Makes the mirror where it isn't there yet, and waits until nobody else changes it; gives the
  // lock. "job"/"killed".
  Result<UniqueFd> open();

  // The name of the ref that keeps a commit which was fetched alone; nobody else looks at it.
  static std::string kept_name(const std::string& commit) { return "refs/sluice/" + commit; }

  // Whether a commit is there with what belongs to it, by its id or any other name. False without a
  // mirror. A git that is killed while it fetches may leave a commit without what was before it and
  // without a word that this is so: refs are the last that it writes, so what one leads to is
  // whole, and of anything else all parents are looked for.
  Result<bool> has_commit(const std::string& rev) const;
  // Whether a commit can be read with all that it leads to, as far as the mirror has its history
  // ("": of all refs). has_commit() believes refs, since this takes as long as there is much; but a
  // machine that goes down, or somebody else's program, can leave a ref without what it leads to.
  Result<bool> is_readable(const std::string& rev) const;
  // Warns that objects are missing, which are to be fetched again.
  void warn_damaged() const;
  // GitProgram::run() and output() in the mirror.
  Result<ToolRun> run(std::vector<std::string> arguments, std::string_view input = {}) const;
  Result<std::string> output(std::vector<std::string> arguments, std::string_view failure,
                             std::string_view input = {}) const;

  // Fetch says what is to be got from elsewhere.
  struct Fetch {
    std::vector<std::string> refspecs;
    unsigned depth = 0;  // commits; 0: all, also of what the mirror had in part
    bool prune = false;  // what isn't there any more goes
    bool again = false;  // also what the mirror believes to have
  };
  // Runs `git fetch`, under the lock of open(); gives how it ended. Where it fails since the mirror
  // is damaged, all is fetched again, and where that fails, too, into a new mirror: the old one
  // lies beside it then, as NAME.damaged.
  Result<ToolRun> fetch(const std::string& url, const Fetch& what) const;

  // The refspecs of all branches and tags, which keep their names.
  static std::vector<std::string> branches_and_tags() {
    return {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"};
  }

  struct Ref {
    std::string id, name;  // "refs/tags/v1^{}" is what an annotated tag stands for
  };
  // Lists what a server offers, "HEAD" included. `head`: the branch that its HEAD is, where it says
  // so.
  Result<ToolRun> list(const std::string& url, std::vector<Ref>& refs,
                       std::string* head = nullptr) const;

 private:
  // Makes an empty mirror, whole from the beginning.
  Status make() const;
  Result<ToolRun> fetch_once(const std::string& url, const Fetch& what) const;
  // Removes files that a git which was killed left locked or half written, unless one works here.
  Status clean() const;

  GitProgram& git_;
  std::string path_;
};

// Runs `attempt`, which puts something into a directory; once more, from nothing, where it failed
// and `mend` says that something was missing which is there now. A directory that wasn't empty
// stays as it is then.
Status with_mended_mirror(const std::string& directory, const std::function<Status()>& attempt,
                          const std::function<Result<bool>()>& mend);

// Calls `attempt` with each of `urls` (with `url` when there are none) until it succeeds with one,
// and again (settings.network_retries) while it fails by an error whose reason is kFetchFailed.
// `activity` is how the step is called.
Status try_urls(GitProgram& git, const std::string& url, const std::vector<std::string>& urls,
                std::string_view activity,
                const std::function<Status(const std::string& url)>& attempt);

}  // namespace sluice::sources
