#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::git_tag {

Infos info(const model::Source& source) {
  auto infos = TRY(commit_info(source, source.ref_text()));
  // The URL is told in full.
  for (Info& info : infos) info.url = source.url;
  return infos;
}

}  // namespace sluice::sources::git_tag
