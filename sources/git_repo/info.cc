#include "sources/infos.h"

namespace sluice::sources::git_repo {

Infos info(const model::Source& source) { return described_commit_info(source, source.ref_text()); }

}  // namespace sluice::sources::git_repo
