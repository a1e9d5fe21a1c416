// GitModules are the repository of a source and those of its submodules, as the repository itself
// and the source's configuration tell of them: where they come from, and where their mirrors are.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/truth.h"
#include "sources/git_mirror.h"

namespace sluice::sources {

// The commit that a ref names: what is behind the last "-g" of "TAG-DISTANCE-gCOMMIT", or all of
// it.
std::string commit_of(const std::string& ref);
// The tag of a ref that is exactly that, "TAG-0-gCOMMIT"; "" for others.
std::string exact_tag(const std::string& ref);
// Whether a text is the id of an object, in full.
bool is_id(std::string_view text);
// Whether a path that a repository names stays in it, and out of its .git.
bool is_safe_path(std::string_view path);

// GitModule is a repository: the source's own, or a submodule.
struct GitModule {
  std::string path;               // from the top; "" for the source's own repository
  std::string url;                // the URL as it is written
  std::vector<std::string> urls;  // the URLs to fetch from, in the order to try
  std::string ref;
  std::string mirror;
};

// The URL that a clone has for its origin: the last one to try, which is an alias's own where that
// may be used. What the plugin of a mirror would make of it isn't known then.
std::string origin_of(const GitModule& module);

// The deepest level of submodules within submodules.
inline constexpr std::size_t kMaxNesting = 64;

class GitModules {
 public:
  // How kinds differ.
  struct Ways {
    // The warning of a submodule that was never added to the repository; "" for one without a name.
    std::string inconsistent;
    // A submodule's mirror has the name of the URL that the source gives it, not of the one in
    // .gitmodules.
    bool mirrors_by_source = false;
  };
  GitModules(GitProgram& git, Ways ways) : git_(git), ways_(std::move(ways)) {}

  // The source's own repository at `ref`.
  GitModule own(const std::string& ref) const;
  std::string mirror_of(const std::string& url) const;
  // Whether the source doesn't want the submodule at that path.
  bool is_ignored(const std::string& path) const;
  // The submodules that a repository has at its ref. `configured`: without those that aren't
  // wanted, and with the URLs that the source gives them. Errors: "bad-submodule" for what can't be
  // used; those of the warning.
  Result<std::vector<GitModule>> below(const GitModule& module, bool configured);

 private:
  std::vector<std::string> translated(const std::string& url) const;
  Status override_url(GitModule& module, bool aliased) const;
  Result<std::string> commit_at(const GitMirror& mirror, const GitModule& module,
                                const std::string& path);

  const model::Source& source() const { return git_.source(); }

  GitProgram& git_;
  Ways ways_;
  std::set<std::string> warned_;
};

// The error of a fetch that failed; another try may mend it, unless the server won't have it.
tl::unexpected<Error> git_not_fetched(
    const GitProgram& git, const ToolRun& run, const std::string& url,
    std::string_view failure = "Failed to fetch from remote git repository:");
// Fetches all branches and tags, and what `more` refspecs ask for. `again`: also what the mirror
// believes to have.
Result<ToolRun> fetch_all_of_git(const GitMirror& mirror, const std::string& url, bool again,
                                 const std::vector<std::string>& more = {});
// Whether a server has this very tag of this very commit.
Result<bool> git_offers_tag(const GitMirror& mirror, const GitProgram& git, const std::string& url,
                            const std::string& tag, const std::string& commit);

// Clones a mirror for somebody who works in it: with its branches and tags, the commit checked out,
// and `origin` as what it was cloned from.
Status clone_of_mirror(GitProgram& git, const GitModule& module, const std::string& place,
                       const std::string& origin);

}  // namespace sluice::sources
