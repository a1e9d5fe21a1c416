// A file as it is (buildstream/plugins/sources/remote.py).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::remote {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  std::string list_text;
  {
    JsonList list(list_text);
    CHECK(configure_download(instance, list));
    const std::string& url = instance.source.url;
    const std::string_view filename =
        TRY(get_string(config, "filename", std::string_view(url).substr(url.rfind('/') + 1)));
    const bool executable = TRY(get_bool(config, "executable", false));
    if (filename.find('/') != std::string_view::npos) {
      return source_error(instance, "filename-contains-directory",
                          "filename parameter cannot contain directories");
    }
    list.text(filename);
    list.raw(executable ? "true" : "false");
  }
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "ref",
                               "version-guess-pattern", "version", "filename", "executable"}));
  if (config.contains("ref")) json += list_text;
  return {};
}

}  // namespace sluice::sources::remote
