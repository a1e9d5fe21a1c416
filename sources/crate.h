// Crates are packages of Rust; sources of kinds cargo and cargo2 consist of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/model.h"

namespace sluice::sources {

struct Crate {
  std::string name, version;
  std::string sha;  // of its archive, as SHA-256; "" where that isn't known
  // Of one that comes out of a repository of git, for cargo2 alone; "" of any other.
  std::string repo, commit;
  std::vector<std::pair<std::string, std::string>> query;  // the branch, tag or rev that it is by

  bool is_git() const { return !commit.empty() || !repo.empty(); }
  // How it is called, and the name of its directory.
  std::string full_name() const { return name + "-" + version; }
};

// The crates of a ref, as the key.cc of the kind accepted it.
std::vector<Crate> crates_of(const model::Node& ref);

// The URL of a crate's archive, as far as the project says where it is.
std::string crate_url(const model::Source& source, const Crate& crate);
// The name of a crate's archive below the URL of all.
std::string archive_name(const Crate& crate);

// The URL of a repository with what `git-mirrors` of the source puts in the place of its beginning.
std::string mirrored_git_url(const model::Source& source, const std::string& url);

// What the project says of a repository that a ref names.
struct CrateRepository {
  std::string url;                // without the project's alias: as Cargo knows it
  std::string fetched;            // the same of the URL that mirrored_git_url() makes of it
  std::vector<std::string> urls;  // where to fetch it from, in the order to try; none: `fetched`
};
// It is found in more_urls of the source: under the repository's own URL or the alias it begins
// with `urls`, under the same behind kCargoName the other two.
inline constexpr const char* kCargoName = "git+";
CrateRepository repository_of(const model::Source& source, const std::string& repo);

}  // namespace sluice::sources
