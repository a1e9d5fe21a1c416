// A distribution of CPAN (buildstream-plugins-community, cpan).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::cpan {

namespace {

Status configure(Instance& instance, std::string& json, bool versions) {
  const Node& config = instance.config;
  if (versions) {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "name", "suffix", "sha256sum",
                                 "index", "version", "version-guess-pattern"}));
  } else {
    CHECK(validate_keys(
        config, {"kind", "directory", "provenance", "name", "suffix", "sha256sum", "index"}));
  }
  TRY(get_string(config, "name"));
  CHECK(mark_url(instance, TRY(get_string(config, "index", "https://cpan.metacpan.org/"))));
  const Node* sum = TRY(find_scalar(config, "sha256sum"));
  const Node* suffix = TRY(find_scalar(config, "suffix"));
  if (sum == nullptr || suffix == nullptr) return {};
  instance.source.ref =
      model::Node::make_map({{"suffix", to_model(*suffix)}, {"sha256sum", to_model(*sum)}});
  JsonList list(json);
  list.text(suffix->text);
  list.text(sum->text);
  return add_version(config, list);
}

}  // namespace

Status key(Instance& instance, std::string& json) { return configure(instance, json, true); }
// The key that the plugin made before its configuration told of versions.
Status key_without_version(Instance& instance, std::string& json) {
  return configure(instance, json, false);
}

}  // namespace sluice::sources::cpan
