// The work that kinds cargo and cargo2 share: what a Cargo.lock names, and archives of crates,
// which lie below one URL as URL/NAME/NAME-VERSION.crate.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sources/crate.h"
#include "sources/toml.h"
#include "sources/work.h"

namespace sluice::sources {

// Fails for a crate whose name or version can't be part of a file's name.
Status check_crate(const model::Source& source, const Crate& crate);
// A path that the source names, below `directory`. An error where it leads out of it.
Result<std::string> path_below(const model::Source& source, const std::string& directory,
                               std::string_view key, const std::string& path);

// The file that lists what is needed, out of what the sources before have staged; and its packages.
// Errors say what is missing or malformed.
Result<Toml> read_lock(const model::Source& source, Surroundings& surroundings);
struct LockedPackage {
  std::string name, version;
  std::string origin;    // "registry+URL", "git+URL#COMMIT"; "" for one of the project itself
  std::string checksum;  // "" where there is none
};
Result<std::vector<LockedPackage>> locked_packages(const model::Source& source,
                                                   Surroundings& surroundings);

bool has_archive(const model::Source& source, Surroundings& surroundings, const Crate& crate);
// Downloads the archive unless it is there; gives its path.
Result<std::string> ensure_archive(const model::Source& source, Surroundings& surroundings,
                                   const Crate& crate);
// Finds the SHA-256 of what is there now.
Result<std::string> track_archive(const model::Source& source, Surroundings& surroundings,
                                  const Crate& crate);
// Unpacks the archive into `vendor`, which is made: below a directory of its own, which nobody may
// have, with what Cargo looks for in it.
Status stage_crate(const model::Source& source, Surroundings& surroundings, const Crate& crate,
                   const std::string& vendor);
// The error of two crates that would have the same directory.
tl::unexpected<Error> twice(const model::Source& source, const Crate& crate);

}  // namespace sluice::sources
