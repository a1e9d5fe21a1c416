// A commit of a repository of git with so much of its history that `git describe` works, by the
// `git` program, as buildstream-plugins-community has it by dulwich: for git_repo, and for kinds
// that stage the same elsewhere. Its mirror is named by the source's kind and URL. Files are staged
// as they are in the repository: no attribute changes them.
#pragma once

#include <string>
#include <vector>

#include "sources/work.h"

namespace sluice::sources {

// GitWanted says which commit is wanted.
struct GitWanted {
  std::string ref;                   // "COMMIT" or "TAG-DISTANCE-gCOMMIT"
  std::string track;                 // a pattern of names of branches and tags, or of "refs/..."
  std::vector<std::string> exclude;  // those that aren't meant
  bool describe = false;             // whether tracking gives a ref with a tag, where there is one
};

// GitCheckout says what is to be in a directory.
enum class GitCheckout {
  kFiles,      // the files alone
  kDescribed,  // a repository in which `git describe` works
  kWorkspace,  // one with all of the history that is there, and where it comes from
};

// Errors of all of them: domain "source" or "plugin", with the source's place; "job"/"killed".

// The ref of the newest of what the pattern matches, by the order of names as versions.
Result<std::string> track_commit(const model::Source& source, Surroundings& surroundings,
                                 const GitWanted& wanted);
// The id of the commit that begins with `prefix`, of all that the server has. source/ref-not-found.
Result<std::string> find_commit(const model::Source& source, Surroundings& surroundings,
                                const std::string& prefix);
Result<bool> has_commit(const model::Source& source, Surroundings& surroundings,
                        const GitWanted& wanted);
Status fetch_commit(const model::Source& source, Surroundings& surroundings,
                    const GitWanted& wanted);
// Puts the commit into a directory, on top of what is there; fetches what it turns out to lack.
Status check_out(const model::Source& source, Surroundings& surroundings, const GitWanted& wanted,
                 const std::string& directory, GitCheckout checkout);

}  // namespace sluice::sources
