#include "loader/project/mirrors.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::loader {

const std::vector<std::string>& Mirror::uris(std::string_view alias) const {
  static const std::vector<std::string> kNone;
  for (const auto& [name, uris] : aliases) {
    if (name == alias) return uris;
  }
  return kNone;
}

Result<bool> Mirror::translates(std::string_view alias) const {
  if (!plugin) return false;
  if (plugin->aliases.empty()) {
    return fail(
        "plugin", "no-aliases",
        fmt::format("source-mirror plugin '{}' ({}) didn't say for mirror '{}' which aliases "
                    "it has",
                    foreign_kind, plugin->module.file, name),
        plugin->place);
  }
  return std::find(plugin->aliases.begin(), plugin->aliases.end(), alias) != plugin->aliases.end();
}

namespace {

// The `url` of a simple_mirror with {alias} replaced; nullopt when it has what else Python's
// str.format() understands.
std::optional<std::string> formatted(std::string_view url, std::string_view alias) {
  std::string out;
  for (std::size_t i = 0; i < url.size(); ++i) {
    if (url.substr(i).starts_with("{alias}")) {
      out += alias;
      i += 6;
    } else if (url[i] == '{' || url[i] == '}') {
      if (i + 1 == url.size() || url[i + 1] != url[i]) return std::nullopt;
      out += url[i++];
    } else {
      out += url[i];
    }
  }
  return out;
}

// Reads a simple_mirror of buildstream-plugins: one URL for all aliases, with the alias in it and
// the rest of the source's URL after a slash.
Status read_simple_mirror(const Node& config, Mirror& mirror) {
  CHECK(validate_keys(config, {"url", "aliases"}));
  const std::vector<std::string> aliases = TRY(get_strings(config, "aliases"));
  const Node& url = *TRY(get_scalar(config, "url"));
  for (const std::string& alias : aliases) {
    auto uri = formatted(url.text, alias);
    if (!uri)
      return invalid_data(
          url, "The URL of a simple_mirror has braces that are neither {alias} nor doubled");
    if (!uri->empty() && !uri->ends_with('/')) *uri += '/';
    mirror.aliases.emplace_back(alias, std::vector<std::string>{std::move(*uri)});
  }
  return {};
}

}  // namespace

Result<Mirror> read_mirror(const Node& node, MirrorPlugin plugin) {
  if (!node.is_map()) return invalid_data(node, "A mirror is not specified as a dictionary");
  const std::string_view kind = TRY(get_string(node, "kind", "default"));
  Mirror mirror;
  if (kind != "default") {
    if (plugin == MirrorPlugin::kNone) {
      return fail("plugin", "plugin-not-found",
                  fmt::format("No source-mirror plugin registered for kind '{}'", kind),
                  provenance(node));
    }
    CHECK(validate_keys(node, {"name", "kind", "config"}));
    const Node* config = TRY(find_map(node, "config"));
    mirror.name = TRY(get_string(node, "name"));
    if (plugin == MirrorPlugin::kSimple) {
      Arena arena;
      CHECK(read_simple_mirror(config != nullptr ? *config : *make_map(arena), mirror));
    } else {
      mirror.foreign_kind = kind;
    }
    return mirror;
  }
  mirror.name = TRY(get_string(node, "name"));
  CHECK(validate_keys(node, {"name", "kind", "aliases"}));
  for (const Entry& entry : TRY(get_map(node, "aliases"))->entries()) {
    if (!entry.value->is_list())
      return invalid_data(
          *entry.value, fmt::format("Value of '{}' is not of the expected type 'list'", entry.key));
    mirror.aliases.emplace_back(entry.key, TRY(as_strings(*entry.value)));
  }
  return mirror;
}

}  // namespace sluice::loader
