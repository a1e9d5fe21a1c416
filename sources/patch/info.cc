#include "base/file.h"
#include "base/sha256.h"
#include "sources/infos.h"

namespace sluice::sources::patch {

Infos info(const model::Source& source) {
  auto content = read_file(source.path);
  if (!content) return forward(content);
  return std::vector{
      Info{source.config.get_string("path"), "local", "sha256", sha256_hex(*content), {}, {}}};
}

}  // namespace sluice::sources::patch
