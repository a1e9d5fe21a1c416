#include "base/try.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::pypi {

Infos info(const model::Source& source) {
  const std::string url = source.url + source.ref.get_string("suffix");
  auto guess = TRY(version_of(source, url));
  Info info{url, "remote-file", "sha256", source.ref.get_string("sha256sum", "None"), guess, {}};
  info.purl =
      python_package_url(source.config.get_string("name"), name_and_version(last_part(url)).second);
  return std::vector{std::move(info)};
}

}  // namespace sluice::sources::pypi
