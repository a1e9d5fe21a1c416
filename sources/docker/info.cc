#include "base/credentials.h"
#include "base/text.h"
#include "sources/docker/place.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::docker {

Infos info(const model::Source& source) {
  const Place place = place_of(source, source.url);
  const bool known = source.ref.kind != model::Node::Kind::kNull;
  Info info{place.registry,
            "oci-image",
            "oci-digest",
            known ? "sha256:" + source.ref_text() : "None",
            source.config.get_string("version"),
            {{"image-name", model::Node::make_scalar(place.image)}}};
  const auto scheme = place.registry.find("://");
  const std::string host =
      scheme == std::string::npos ? place.registry : place.registry.substr(scheme + 3);
  info.purl = package_url("oci", "", lower(last_part(place.image)), known ? info.version : "",
                          {{"repository_url", without_credentials(host + "/" + place.image)}});
  return std::vector{std::move(info)};
}

}  // namespace sluice::sources::docker
