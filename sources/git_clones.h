// GitClones are what the kinds git_tag and git_module make of a source: a clone, with its history
// and its .git, of the repository and of some of its submodules
// (buildstream-plugins-community, AbstractGitTagSource).
//
// A mirror has all branches and tags. One of a ref that is exactly a tag, "TAG-0-gCOMMIT", has that
// tag's commit alone unless the source wants all (`full-clone`), and lies beside the other with the
// ref in its name.
//
// The plugin stages whatever its mirror has at that time: branches, tags that came later, where the
// mirror is. Here the .git has what the commit's history has, so that it is the same for all who
// fetch it: its commits, its tags, no branches, and the source's URL as `origin`.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sources/git_modules.h"

namespace sluice::sources {

// Makes the empty .git of a work tree; `more` is put at the end of its configuration. There is no
// HEAD yet.
Status make_dot_git(const std::string& git, std::string_view more);
// The configuration of the remote that is called "origin". `fetch`: the refspec, or "".
std::string origin_config(std::string_view url, std::string_view fetch);

class GitClones {
 public:
  // `path` is where the repository lies in the source's tree. `submodules`: with those that the
  // source doesn't turn off.
  GitClones(const model::Source& source, Surroundings& surroundings, std::string path,
            bool submodules);
  GitClones(const GitClones&) = delete;
  GitClones& operator=(const GitClones&) = delete;

  // Brings the branches and tags of the first URL that has them, and what else is asked for by
  // refspecs, and calls `look`.
  Status update(std::string_view activity, const std::vector<std::string>& more,
                const std::function<Status(const GitMirror& mirror)>& look);

  Result<bool> cached();
  // `whole`: with all of the history, as somebody who works in it gets it.
  Status fetch(bool whole);
  Result<model::Digest> stage();
  Status init_workspace(const std::string& directory);

 private:
  std::string mirror_of_ref(const GitModule& module) const;
  bool needs_history(const GitModule& module) const;
  Result<std::string> holder(const GitModule& module, bool history);
  Result<std::vector<GitModule>> submodules();
  Status adopt(const GitMirror& mirror, const std::string& url);
  Status update_mirror(const GitMirror& mirror, const std::string& url, bool fresh,
                       const std::vector<std::string>& more);
  Status fetch_module(const GitModule& module, bool whole);
  Result<bool> fetch_tag(const GitModule& module, const std::string& url);
  Status fetch_all(const GitModule& module, const std::string& url);
  Status look_for_lfs(const GitModule& module, const std::string& mirror);
  Result<bool> mend(bool whole);
  Result<std::string> place_of(const std::string& directory, const GitModule& module) const;
  Status write(const std::string& directory);
  Status write_module(const GitModule& module, const std::string& place);
  Status add_objects(const GitMirror& mirror, const GitModule& module, const std::string& id,
                     const std::string& git);
  Status clone_all(const std::string& directory);

  const model::Source& source_;
  Surroundings& surroundings_;
  GitProgram git_;
  GitModules modules_;
  GitModule main_;
  std::string path_;
  bool with_submodules_ = false;
  bool full_clone_ = false;
  bool mending_ = false;  // what is there is read before it is believed, and all fetched otherwise
  bool mended_ = false;
};

}  // namespace sluice::sources
