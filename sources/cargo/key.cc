// The crates that a Cargo.lock names (buildstream-plugins, cargo).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::cargo {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  const std::string_view given = TRY(get_string(config, "url", "https://static.crates.io/crates"));
  const std::string_view lock = TRY(get_string(config, "cargo-lock", "Cargo.lock"));
  const std::string_view vendor = TRY(get_string(config, "vendor-dir", "crates"));
  const Node* ref = TRY(find_list(config, "ref"));
  // A URL that is more than an alias names a directory.
  std::string url(given);
  if (!url.ends_with(':') && !url.ends_with('/')) url += '/';
  CHECK(validate_keys(
      config, {"kind", "directory", "provenance", "url", "ref", "cargo-lock", "vendor-dir"}));
  CHECK(mark_url(instance, url));
  if (ref != nullptr) instance.source.ref = to_model(*ref);
  std::string crates = "[";
  bool resolved = ref != nullptr && !ref->empty();
  if (ref != nullptr) {
    for (const Node* crate : ref->items()) {
      if (!crate->is_map()) return invalid_data(*crate, "A crate is not specified as a dictionary");
      const std::string_view name = TRY(get_string(*crate, "name"));
      const std::string_view version = TRY(get_string(*crate, "version"));
      const Node* sha = TRY(find_scalar(*crate, "sha"));
      TRY(find_map(*crate, "provenance"));
      resolved = resolved && sha != nullptr;
      if (crates.size() > 1) crates += ',';
      crates += json_object({{"name", json_text(name)},
                             {"version", json_text(version)},
                             {"sha", sha != nullptr ? json_text(sha->text) : "null"}});
    }
  }
  if (!resolved) return {};
  JsonList list(json);
  list.text(given);
  list.text(lock);
  list.text(vendor);
  list.raw(crates + ']');
  return {};
}

}  // namespace sluice::sources::cargo
