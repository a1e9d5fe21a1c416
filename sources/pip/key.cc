// Packages of Python that pip fetches (buildstream-plugins, pip).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::pip {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(
      config, {"url", "packages", "ref", "requirements-files", "kind", "directory", "provenance"}));
  const Node* ref = TRY(find_scalar(config, "ref"));
  const std::string_view url = TRY(get_string(config, "url", "https://pypi.org/simple/"));
  CHECK(mark_url(instance, url));
  const auto packages = TRY(find_strings(config, "packages"));
  const auto requirements = TRY(find_strings(config, "requirements-files"));
  if (packages.empty() && requirements.empty()) {
    return source_error(instance, "",
                        "Either 'packages' or 'requirements-files' must be specified");
  }
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(url);
  list.text(ref->text);
  return {};
}

}  // namespace sluice::sources::pip
