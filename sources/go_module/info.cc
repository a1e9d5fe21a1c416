#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::go_module {

// The info of the commit, as git_repo has it.
Infos info(const model::Source& source) {
  return described_commit_info(source, source.ref.get_string("git-ref"));
}

}  // namespace sluice::sources::go_module
