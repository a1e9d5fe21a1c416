// The kinds flatpak_image and flatpak_repo of the community's collection: files laid out as Flatpak
// has them, and a repository that its own tools make of such.
#pragma once

#include <string>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

Status stage_flatpak_image(Build& build);
Result<std::string> assemble_flatpak_image(Build& build);
// Those of the kind as it was before dependencies could have a location, and components an id.
Status stage_flatpak_image_2(Build& build);
Result<std::string> assemble_flatpak_image_2(Build& build);

Status stage_flatpak_repo(Build& build);
Result<std::string> assemble_flatpak_repo(Build& build);

}  // namespace sluice::elements
