#include "sources/crate.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::cargo {

// The info of each crate, with the provenance that is told beside its ref.
Infos info(const model::Source& source) {
  std::vector<Info> infos;
  for (const model::Node& entry : source.ref.list) {
    const std::string sha = entry.get_string("sha");
    const Crate crate{entry.get_string("name"), entry.get_string("version"), sha, {}, {}, {}};
    infos.push_back({crate_url(source, crate),
                     "remote-file",
                     "sha256",
                     sha.empty() ? "None" : sha,
                     crate.version,
                     {}});
    infos.back().purl = package_url("cargo", "", crate.name, crate.version);
    if (const model::Node* told = entry.find("provenance")) infos.back().provenance = *told;
  }
  return infos;
}

}  // namespace sluice::sources::cargo
