// Kinds of elements of widely used collections of plugins. A project brings their Python along, and
// what that says of configuration and key tells that it's the one that is known here. Only the keys
// of such elements are known: they're built by nothing but that Python. See kinds.h.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/kinds.h"
#include "yaml/json.h"

namespace sluice::loader {

namespace {

void add_strings(std::string& json, const std::vector<std::string>& strings) {
  json_strings(json, strings);
}

// Adds a text, or null.
Status add_text(std::string& json, const Node& config, std::string_view name) {
  const Node* text = TRY(find_scalar(config, name));
  if (text == nullptr) {
    json += "null";
  } else {
    json_string(json, text->text);
  }
  return {};
}

Status configure_collect_manifest(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  static constexpr std::string_view kOutputs[] = {"manifest", "spdx"};
  const bool spdx =
      config.contains("output-type") && TRY(get_enum(config, "output-type", kOutputs)) == "spdx";
  const Node* info = TRY(find_map(config, "spdx-info"));
  if (info != nullptr)
    CHECK(validate_keys(*info, {"creators", "created", "data-license", "doc-namespace", "name"}));
  // Every value is looked at, also where the key has nothing of it.
  std::string described = "null,null,null,null,null";
  if (info != nullptr) {
    described.clear();
    if (info->contains("creators")) {
      add_strings(described, TRY(get_strings(*info, "creators")));
    } else {
      described += "null";
    }
    described += ',';
    CHECK(add_text(described, *info, "data-license"));
    described +=
        info->contains("created") ? fmt::format(",{},", TRY(get_int(*info, "created"))) : ",null,";
    CHECK(add_text(described, *info, "doc-namespace"));
    described += ',';
    CHECK(add_text(described, *info, "name"));
  }
  const bool provenance = TRY(get_bool(config, "use-source-provenance", true));
  key += '{';
  if (spdx) key += "\"output_type\":\"spdx\",";
  key += "\"path\":";
  CHECK(add_text(key, config, "path"));
  if (provenance) key += ",\"source_provenance\":true";
  if (spdx) key += ",\"spdx_info\":[" + described + ']';
  key += '}';
  return {};
}

// For the plugin as it was before BuildStream could say where sources come from.
Status configure_collect_manifest_2_0(ElementInstance& instance, std::string& key) {
  key += "{\"path\":";
  CHECK(add_text(key, *instance.config, "path"));
  key += '}';
  return {};
}

Status configure_flatpak_image(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"directory", "include", "exclude", "metadata", "component-ids"}));
  const std::string_view directory = TRY(get_string(config, "directory"));
  auto include = TRY(get_strings(config, "include"));
  auto exclude = TRY(get_strings(config, "exclude"));
  const auto components = TRY(get_strings(config, "component-ids"));
  std::sort(include.begin(), include.end());
  std::sort(exclude.begin(), exclude.end());
  // Maps sort the keys, as the plugin's JSON has them.
  std::map<std::string_view, std::map<std::string_view, std::string_view>> metadata;
  const Node& sections = *TRY(get_map(config, "metadata"));
  for (const auto& section : sections.entries()) {
    auto& pairs = metadata[section.key];
    for (const auto& pair : TRY(get_map(sections, section.key))->entries())
      pairs[pair.key] = TRY(get_string(*section.value, pair.key));
  }
  if (!metadata.contains("Application") && !metadata.contains("Runtime")) {
    return fail("element", "", "Either Application or Runtime section must be present in metadata",
                provenance(sections));
  }
  for (const ConfiguredDependency& dependency : instance.dependencies) {
    if (dependency.config == nullptr) continue;
    CHECK(validate_keys(*dependency.config, {"location"}));
    TRY(get_string(*dependency.config, "location"));
  }
  key += '{';
  if (!components.empty()) {
    key += "\"component-ids\":";
    add_strings(key, components);
    key += ',';
  }
  key += "\"directory\":";
  json_string(key, directory);
  key += ",\"exclude\":";
  add_strings(key, exclude);
  key += ",\"include\":";
  add_strings(key, include);
  key += ",\"metadata\":{";
  const char* separator = "";
  for (const auto& [section, pairs] : metadata) {
    key += separator;
    json_string(key, section);
    key += ":{";
    separator = "";
    for (const auto& [name, value] : pairs) {
      key += separator;
      json_string(key, name);
      key += ':';
      json_string(key, value);
      separator = ",";
    }
    key += '}';
    separator = ",";
  }
  key += "},\"version\":4}";
  return {};
}

constexpr KnownElement kKnown[] = {
    {"collect_manifest", "09b4a92f4ba3a8691efb5d8300b016619a3fb509582b14ae8ea2de6c7dafb818",
     "7e45d1010b601da419f7fd5c104fdc942d500a9711e3ee3bf2a18404f1f4ae99",
     configure_collect_manifest},
    {"collect_manifest", "b0996acdecf57b6e5be2e0b816529d9e7b3bbac3f80330fb1bdcaf07ebd5ea8e",
     "86069d3654ed5dde654d715e429adbfd80775f1655532d7e9238609420440bf8",
     configure_collect_manifest_2_0},
    {"flatpak_image", "5dafa374b2765fc719ef90a1eedbe9ba21bf3c731d3f4bfd42aff9cdf356ae39",
     "96ea618bfe2a98651edc6c17967f4f403451db9d96e5c89be8ec259bc93c41c4", configure_flatpak_image},
};

}  // namespace

std::span<const KnownElement> community_element_kinds() { return kKnown; }

}  // namespace sluice::loader
