#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::patch_queue {

// The info of each patch; the plugin of the community's collection tells nothing.
Infos info(const model::Source& source) {
  if (source.works_as.empty()) return std::vector<Info>();
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(source.path, error))
    names.push_back(entry.path().filename());
  if (error) return fail_errno(error.value(), source.path);
  std::sort(names.begin(), names.end());
  std::vector<Info> infos;
  for (const std::string& name : names) {
    auto content = TRY(read_file(fmt::format("{}/{}", source.path, name)));
    infos.push_back({fmt::format("{}/{}", source.config.get_string("path"), name),
                     "local",
                     "sha256",
                     sha256_hex(content),
                     {},
                     {}});
  }
  return infos;
}

}  // namespace sluice::sources::patch_queue
