// A tar archive, unpacked (buildstream/plugins/sources/tar.py).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::tar {

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

}  // namespace sluice::sources::tar
