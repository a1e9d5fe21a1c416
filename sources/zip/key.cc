// A zip archive, unpacked (buildstream-plugins-community, zip).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::zip {

Status key(Instance& instance, std::string& json) {
  std::string list_text;
  {
    JsonList list(list_text);
    CHECK(configure_download(instance, list));
    list.text(TRY(get_string(instance.config, "base-dir", "*")));
  }
  CHECK(validate_keys(instance.config, {"kind", "directory", "provenance", "url", "ref", "version-guess-pattern", "version", "base-dir"}));
  if (instance.config.contains("ref")) json += list_text;
  return {};
}

}  // namespace sluice::sources::zip
