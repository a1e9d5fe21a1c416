#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::patch {

Infos info(const model::Source& source) {
  auto content = TRY(read_file(source.path));
  return std::vector{
      Info{source.config.get_string("path"), "local", "sha256", sha256_hex(content), {}, {}}};
}

}  // namespace sluice::sources::patch
