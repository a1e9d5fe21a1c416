// A file of the Python Package Index (buildstream-plugins-community, pypi).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::pypi {

namespace {

Status configure(Instance& instance, std::string& json, bool versions) {
  const Node& config = instance.config;
  if (versions) {
    CHECK(validate_keys(
        config, {"kind", "directory", "provenance", "url", "name", "ref", "prereleases", "include",
                 "exclude", "version", "version-guess-pattern"}));
  } else {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "name", "ref",
                                 "prereleases", "include", "exclude"}));
  }
  TRY(get_string(config, "name"));
  TRY(get_bool(config, "prereleases", false));
  TRY(find_strings(config, "include"));
  TRY(find_strings(config, "exclude"));
  CHECK(mark_url(instance,
                 TRY(get_string(config, "url", "https://files.pythonhosted.org/packages/"))));
  const Node* ref = TRY(find_map(config, "ref"));
  if (ref == nullptr || ref->empty()) return {};
  const std::string_view suffix = TRY(get_string(*ref, "suffix"));
  const std::string_view sum = TRY(get_string(*ref, "sha256sum"));
  if (suffix.empty() || sum.empty()) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(suffix);
  list.text(sum);
  return add_version(config, list);
}

}  // namespace

Status key(Instance& instance, std::string& json) { return configure(instance, json, true); }
// The key that the plugin made before its configuration told of versions.
Status key_without_version(Instance& instance, std::string& json) {
  return configure(instance, json, false);
}

}  // namespace sluice::sources::pypi
