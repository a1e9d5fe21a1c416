#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::pypi {

Infos info(const model::Source& source) {
  const std::string url = source.url + source.ref.get_string("suffix");
  auto guess = TRY(version_of(source, url));
  return std::vector{Info{url,
                          "remote-file",
                          "sha256",
                          source.ref.get_string("sha256sum", "None"),
                          std::move(guess),
                          {}}};
}

}  // namespace sluice::sources::pypi
