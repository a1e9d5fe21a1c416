#include "sources/docker/place.h"
#include "sources/infos.h"

namespace sluice::sources::docker {

Infos info(const model::Source& source) {
  const Place place = place_of(source, source.url);
  return std::vector{
      Info{place.registry,
           "oci-image",
           "oci-digest",
           source.ref.kind == model::Node::Kind::kNull ? "None" : "sha256:" + source.ref_text(),
           source.config.get_string("version"),
           {{"image-name", model::Node::make_scalar(place.image)}}}};
}

}  // namespace sluice::sources::docker
