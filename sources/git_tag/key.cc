// A commit of a repository of git, with its submodules and its history
// (buildstream-plugins-community, git_tag).
#include <fmt/format.h>

#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::git_tag {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(
      config, {"url", "ref", "full-clone", "use-lfs", "track", "track-extra", "track-tags", "match",
               "exclude", "checkout-submodules", "submodules", "version", "version-guess-pattern",
               "kind", "directory", "provenance"}));
  const std::string_view url = TRY(get_string(config, "url"));
  TRY(get_bool(config, "full-clone", false));
  const bool lfs = TRY(get_bool(config, "use-lfs", false));
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(mark_url(instance, url));
  const Node* track = TRY(find_scalar(config, "track"));
  TRY(find_strings(config, "track-extra"));
  TRY(get_bool(config, "track-tags", false));
  TRY(find_strings(config, "match"));
  TRY(find_strings(config, "exclude"));
  if (!instance.inline_ref && track == nullptr)
    return source_error(instance, "missing-track-and-ref",
                        "Git sources require a ref and/or track");
  const Submodules submodules = TRY(configure_submodules(instance));
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(url);
  list.text(ref->text);
  submodules.add_to(list);
  if (lfs) list.text("use-lfs");
  return add_version(config, list);
}

}  // namespace sluice::sources::git_tag
