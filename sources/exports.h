// What a source tells of itself without BuildStream's source info (info.h), as the element kind
// collect_manifest of the community's collection hears it: from sources that export a manifest, and
// from those of a few more kinds. It makes one list of both, and so does this.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::sources {

struct Exports {
  model::NodeList locations;          // maps: type, url, commit and the like
  std::vector<std::string> versions;  // texts that may have a version in them, in the order to look
};

// Nothing of kinds that tell nothing. Errors: those of the kinds' info, of which some are
// made.
Result<Exports> exports_of(const model::Source& source);

}  // namespace sluice::sources
