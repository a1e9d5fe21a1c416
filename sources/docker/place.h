// Place is where an image is: "https://registry.example", "library/alpine".
#pragma once

#include <algorithm>
#include <string>

#include "model/model.h"

namespace sluice::sources::docker {

struct Place {
  std::string registry, image;
};

// By one of the URLs that a source may be fetched from: with `image` of the source, the URL is the
// registry's; else it ends in the image's path.
inline Place place_of(const model::Source& source, const std::string& url) {
  Place place{url, source.config.get_string("image")};
  if (source.config.find("url") != nullptr) {
    const auto scheme = url.find("://");
    const auto slash = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    place.registry = url.substr(0, slash);
    place.image = slash == std::string::npos ? "" : url.substr(slash);
    place.image = place.image.substr(0, place.image.find_first_of("?#"));
  }
  place.image.erase(0, std::min(place.image.find_first_not_of('/'), place.image.size()));
  return place;
}

}  // namespace sluice::sources::docker
