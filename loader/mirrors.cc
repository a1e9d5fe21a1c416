#include "loader/mirrors.h"

#include <fmt/format.h>

#include "loader/try.h"

namespace sluice::loader {

const std::vector<std::string>& Mirror::uris(std::string_view alias) const {
  static const std::vector<std::string> kNone;
  for (const auto& [name, uris] : aliases) {
    if (name == alias) return uris;
  }
  return kNone;
}

Result<Mirror> read_mirror(const Node& node, bool declared) {
  if (!node.is_map()) return invalid_data(node, "A mirror is not specified as a dictionary");
  const std::string_view kind = TRY(get_string(node, "kind", "default"));
  if (kind != "default") {
    const Provenance where = provenance(node);
    if (!declared) return fail("plugin", "plugin-not-found", fmt::format("No source-mirror plugin registered for kind '{}'", kind), where);
    return fail("plugin", "unsupported-plugin",
                fmt::format("Mirrors of kind '{}' are not supported: what they do exists only as a plugin of BuildStream", kind), where);
  }
  Mirror mirror;
  mirror.name = TRY(get_string(node, "name"));
  CHECK(validate_keys(node, {"name", "kind", "aliases"}));
  for (const Entry& entry : TRY(get_map(node, "aliases"))->entries()) {
    if (!entry.value->is_list()) return invalid_data(*entry.value, fmt::format("Value of '{}' is not of the expected type 'list'", entry.key));
    mirror.aliases.emplace_back(entry.key, TRY(as_strings(*entry.value)));
  }
  return mirror;
}

}  // namespace sluice::loader
