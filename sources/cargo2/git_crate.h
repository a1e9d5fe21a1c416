// GitCrate is a crate of kind cargo2 that comes out of a repository of git: one commit of a mirror
// below the source directory, and of that the package of the crate's name.
#pragma once

#include <string>
#include <vector>

#include "sources/crate.h"
#include "sources/git_mirror.h"
#include "sources/toml.h"

namespace sluice::sources::cargo2 {

class GitCrate {
 public:
  // Refers to all it is given.
  GitCrate(const model::Source& source, Surroundings& surroundings, const Crate& crate);

  Result<bool> is_there() const { return mirror_.has_commit(crate_.commit); }
  Status fetch();
  // Puts the package into `vendor`, with what Cargo looks for in it.
  Status stage(const std::string& vendor);

 private:
  Status fetch_from(const std::string& url);
  Result<bool> has_it() const;
  // Checks the commit out, finds the package in it, and makes it stand alone; gives its directory.
  Result<std::string> package_in(const std::string& directory);
  Result<std::string> member_in(const std::string& directory, const Toml& root) const;
  tl::unexpected<Error> error(std::string reason, std::string_view message) const;

  const model::Source& source_;
  Surroundings& surroundings_;
  const Crate& crate_;
  GitProgram git_;
  GitMirror mirror_;
  bool mending_ =
      false;  // what is there is read before it is believed, and fetched again otherwise
  bool mended_ = false;
};

}  // namespace sluice::sources::cargo2
