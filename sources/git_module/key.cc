// A submodule of the repository that a source before has (buildstream-plugins-community,
// git_module).
#include <algorithm>

#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::git_module {

namespace {

// What os.path.relpath() makes of an absolute path, seen from "/".
std::string from_top(std::string_view path) {
  std::string out;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      out.resize(out.find('/') == std::string::npos ? 0 : out.rfind('/'));
    } else {
      out += (out.empty() ? "" : "/") + std::string(name);
    }
  }
  return out.empty() ? "." : out;
}

}  // namespace

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"url", "ref", "full-clone", "use-lfs", "path", "version",
                               "version-guess-pattern", "kind", "directory", "provenance"}));
  const std::string_view url = TRY(get_string(config, "url"));
  TRY(get_bool(config, "full-clone", false));
  const bool lfs = TRY(get_bool(config, "use-lfs", false));
  const Node* ref = TRY(find_scalar(config, "ref"));
  std::string path(TRY(get_string(config, "path")));
  if (path.starts_with('/')) path = from_top(path);
  CHECK(mark_url(instance, url));
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  JsonList list(json);
  list.text(url);
  list.text(ref->text);
  // Several submodules may be of the same commit.
  if (!path.empty()) list.raw(json_object({{"path", json_text(path)}}));
  if (lfs) list.text("use-lfs");
  return add_version(config, list);
}

}  // namespace sluice::sources::git_module
