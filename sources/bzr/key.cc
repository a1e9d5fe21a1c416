// A branch of Bazaar (buildstream-plugins, bzr).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::bzr {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(
      validate_keys(config, {"url", "track", "ref", "version", "kind", "directory", "provenance"}));
  const std::string_view url = TRY(get_string(config, "url"));
  const std::string_view track = TRY(get_string(config, "track"));
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(mark_url(instance, url));
  TRY(find_scalar(config, "version"));
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(url);
  list.text(track);
  list.text(ref->text);
  return add_version(config, list, false);
}

}  // namespace sluice::sources::bzr
