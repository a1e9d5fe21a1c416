// An image of a container registry (buildstream-plugins, docker).
#include <fmt/format.h>

#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::docker {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "architecture", "registry-url",
                               "image", "os", "ref", "track", "url", "version"}));
  const bool has_url = config.contains("url");
  const bool has_image = config.contains("image");
  if (has_url && (has_image || config.contains("registry-url"))) {
    return source_error(instance, "", "May specify either 'url', or 'image' and 'registry-url'");
  }
  if (!has_url && !has_image)
    return source_error(instance, "", "Must define either 'url' or 'image'");
  std::string_view url;
  std::string_view image;
  if (has_url) {
    url = TRY(get_string(config, "url"));
  } else {
    image = TRY(get_string(config, "image"));
    url = TRY(get_string(config, "registry-url", "https://registry.hub.docker.com"));
  }
  CHECK(mark_url(instance, url));
  for (std::string_view name : {"track", "architecture", "os", "version"})
    TRY(find_scalar(config, name));
  const Node* ref = TRY(find_scalar(config, "ref"));
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(url);
  if (has_image) list.text(image);
  list.text(fmt::format("sha256:{}", ref->text));
  return add_version(config, list, false);
}

}  // namespace sluice::sources::docker
