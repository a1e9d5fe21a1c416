// A repository of git below the source directory: a bare mirror, which sessions share,
// BuildStream's too. One process at a time changes it (base/lock.h), and what one that was killed
// left behind is no hindrance to the next.
#pragma once

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
  // `path`: of the mirror.
  GitMirror(GitProgram& git, std::string path) : git_(git), path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  bool exists() const;
  // Makes it where it isn't there yet, and waits until nobody else changes it. "job"/"killed".
  Result<UniqueFd> open();

  // A commit that was fetched alone is kept by a ref of this name, which nobody else looks at.
  static std::string kept_name(const std::string& commit) { return "refs/sluice/" + commit; }

  // Whether a commit is there with what belongs to it, by its id or any other name. False without a
  // mirror. A git that is killed while it fetches may leave a commit without what was before it and
  // without a word that this is so: refs are the last that it writes, so what one leads to is
  // whole, and of anything else all parents are looked for.
  Result<bool> has_commit(const std::string& rev) const;
  // Of a call in the mirror.
  Result<ToolRun> run(std::vector<std::string> arguments, std::string_view input = {}) const;
  Result<std::string> output(std::vector<std::string> arguments, std::string_view failure,
                             std::string_view input = {}) const;

  // What is to be got from elsewhere.
  struct Fetch {
    std::vector<std::string> refspecs;
    unsigned depth = 0;  // commits; 0: all, also of what the mirror had in part
    bool prune = false;  // what isn't there any more goes
  };
  // `git fetch`; how it ended. Under the lock of open().
  Result<ToolRun> fetch(const std::string& url, const Fetch& what) const;

  // The refspecs of all branches and tags, which keep their names.
  static std::vector<std::string> branches_and_tags() {
    return {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"};
  }

  struct Ref {
    std::string id, name;  // "refs/tags/v1^{}" is what an annotated tag stands for
  };
  // What a server offers, "HEAD" included.
  Result<ToolRun> list(const std::string& url, std::vector<Ref>& refs) const;

 private:
  // Files that a git which was killed left locked or half written, unless one works here.
  Status clean() const;

  GitProgram& git_;
  std::string path_;
};

// From its URL or the first of several that has it, again (settings.network_retries) while
// `attempt` fails by an error whose reason is kFetchFailed. `urls`: what to try; none: `url` alone.
Status try_urls(GitProgram& git, const std::string& url, const std::vector<std::string>& urls,
                std::string_view activity,
                const std::function<Status(const std::string& url)>& attempt);

}  // namespace sluice::sources
