#include "sources/crate.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::cargo2 {

Infos info(const model::Source& source) {
  std::vector<Info> infos;
  for (const Crate& crate : crates_of(source.ref)) {
    if (crate.is_git()) {
      infos.push_back({repository_of(source, crate.repo).fetched,
                       "git",
                       "commit",
                       crate.commit,
                       crate.version,
                       {{"crate-name", model::Node::make_scalar(crate.name)}}});
    } else {
      infos.push_back({crate_url(source, crate),
                       "remote-file",
                       "sha256",
                       crate.sha.empty() ? "None" : crate.sha,
                       crate.version,
                       {}});
      infos.back().purl = package_url("cargo", "", crate.name, crate.version);
    }
  }
  return infos;
}

}  // namespace sluice::sources::cargo2
