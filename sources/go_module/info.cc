#include "base/text.h"
#include "base/try.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::go_module {

// The info of the commit, as git_repo has it.
Infos info(const model::Source& source) {
  auto infos = TRY(described_commit_info(source, source.ref.get_string("git-ref")));
  const std::string module = lower(source.config.get_string("module"));
  const auto slash = module.rfind('/');
  for (Info& info : infos) {
    info.purl = package_url("golang", slash == std::string::npos ? "" : module.substr(0, slash),
                            slash == std::string::npos ? module : module.substr(slash + 1),
                            source.ref.get_string("go-version"));
  }
  return infos;
}

}  // namespace sluice::sources::go_module
