// A commit's files in an empty directory, with a repository of their own that needs no mirror: as
// sources have them that a build may ask `git describe`, or Cargo, about.
#pragma once

#include <string>
#include <string_view>

#include "sources/git_mirror.h"

namespace sluice::sources {

// Makes a repository on branch master at `commit`, and checks that out. Files are as they are in
// the mirror: no attribute changes them. `config` is added to the repository's configuration.
// Objects aren't copied.
Status begin_checkout(GitProgram& git, const GitMirror& mirror, const std::string& commit,
                      const std::string& directory, std::string_view config = {});
// Leaves what a repository has when nothing was done in it; `fixed`: the same, byte for byte, for
// the same commit.
Status end_checkout(GitProgram& git, const GitMirror& mirror, const std::string& commit,
                    const std::string& directory, bool fixed);
// Copies objects, by a list of their ids, a line each, out of the mirror.
Status add_objects(GitProgram& git, const GitMirror& mirror, const std::string& directory,
                   std::string_view ids, const std::string& what);

}  // namespace sluice::sources
