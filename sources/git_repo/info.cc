#include "base/try.h"
#include "sources/infos.h"

namespace sluice::sources::git_repo {

// The info of the commit, with the name of the tag and the distance from it, be it 0.
Infos info(const model::Source& source) {
  const std::string& ref = source.ref_text();
  Info info{source.url, "git", "commit", ref.substr(0, 40), source.config.get_string("version"),
            {}};
  const std::size_t at = ref.rfind("-g");
  const std::size_t dash =
      at == std::string::npos || at == 0 ? std::string::npos : ref.rfind('-', at - 1);
  if (dash == std::string::npos) return std::vector{std::move(info)};
  info.version = ref.substr(at + 2, 40);
  const std::string tag = ref.substr(0, dash);
  info.guess = TRY(version_of(source, tag));
  info.extra = {{"tag-name", model::Node::make_scalar(tag)},
                {"commit-offset", model::Node::make_scalar(ref.substr(dash + 1, at - dash - 1))}};
  return std::vector{std::move(info)};
}

}  // namespace sluice::sources::git_repo
