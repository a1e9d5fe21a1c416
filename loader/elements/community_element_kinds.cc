// Kinds of elements of widely used collections of plugins. A project brings their Python along, and
// what that says tells that it's the one that is known here: by the whole of it, what it builds is
// known; by what it says of configuration and key, just these are. See kinds.h.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/key_fields.h"
#include "loader/elements/kinds.h"
#include "model/names.h"
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

// Fails for what Python's configparser, which the plugin puts its metadata into, doesn't take: '%'
// stands before another one, or before a name in parentheses.
Status check_percent(const Node& value) {
  const std::string_view text = value.text;
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at)) {
    const std::size_t end = text.find(')', at);
    if (text.substr(at + 1).starts_with('%')) {
      at += 2;
    } else if (text.substr(at + 1).starts_with('(') && end != std::string_view::npos &&
               end > at + 2 && text.substr(end + 1).starts_with('s')) {
      at = end + 2;
    } else {
      return fail(
          "element", "",
          fmt::format("'%' in the metadata '{}' must be followed by '%' or '(NAME)s'", text),
          provenance(value));
    }
  }
  return {};
}

// The fields of metadata: sections, with their keys and values.
Result<std::string> metadata_json(const Node& sections) {
  KeyFields fields;
  for (const auto& section : sections.entries()) {
    KeyFields pairs;
    for (const auto& pair : TRY(get_map(sections, section.key))->entries()) {
      pairs[std::string(pair.key)] = json_of(TRY(get_string(*section.value, pair.key)));
      CHECK(check_percent(*pair.value));
    }
    write_key(pairs, fields[std::string(section.key)]);
  }
  std::string json;
  write_key(fields, json);
  return json;
}

// The lists as they are in the key.
Status add_selection(const Node& config, KeyFields& fields) {
  for (const std::string_view key : {"include", "exclude"}) {
    auto domains = TRY(get_strings(config, key));
    std::sort(domains.begin(), domains.end());
    fields[std::string(key)] = json_of(domains);
  }
  return {};
}

Status configure_flatpak_image(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"directory", "include", "exclude", "metadata", "component-ids"}));
  KeyFields fields;
  fields["directory"] = json_of(TRY(get_string(config, "directory")));
  CHECK(add_selection(config, fields));
  const auto components = TRY(get_strings(config, "component-ids"));
  if (!components.empty()) fields["component-ids"] = json_of(components);
  const Node& sections = *TRY(get_map(config, "metadata"));
  fields["metadata"] = TRY(metadata_json(sections));
  if (!sections.contains("Application") && !sections.contains("Runtime")) {
    return fail("element", "", "Either Application or Runtime section must be present in metadata",
                provenance(sections));
  }
  for (const ConfiguredDependency& dependency : instance.dependencies) {
    if (dependency.config == nullptr) continue;
    CHECK(validate_keys(*dependency.config, {"location"}));
    TRY(get_string(*dependency.config, "location"));
  }
  fields["version"] = "4";
  write_key(fields, key);
  return {};
}

// For the plugin as it was before dependencies could have a location.
Status configure_flatpak_image_2(ElementInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"directory", "include", "exclude", "metadata"}));
  KeyFields fields;
  fields["directory"] = json_of(TRY(get_string(config, "directory")));
  CHECK(add_selection(config, fields));
  fields["metadata"] = TRY(metadata_json(*TRY(get_map(config, "metadata"))));
  fields["version"] = "2";
  write_key(fields, key);
  return {};
}

// BuildStream's Element.normal_name.
std::string directory_of(const std::string& name) {
  return "/buildstream/input/" + model::normal_name(name);
}

Status configure_flatpak_repo(ElementInstance& instance, std::string& key, bool with_branches) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"copy-refs", "repo-mode", "arch", "branch"}));
  KeyFields commands;
  const auto add = [&](std::string group, const std::string& command) {
    commands[std::move(group)] = json_of(std::vector<std::string>{command});
  };
  std::vector<std::pair<std::string_view, std::string_view>> copies;
  for (const Node* copy : TRY(get_list(config, "copy-refs"))->items()) {
    if (!copy->is_map())
      return invalid_data(*copy, "Value of 'copy-refs' is not of the expected type 'dict'");
    CHECK(validate_keys(*copy, {"src", "dest"}));
    const std::string_view from = TRY(get_string(*copy, "src"));
    copies.emplace_back(from, TRY(get_string(*copy, "dest")));
  }
  const std::string_view arch = TRY(get_string(config, "arch"));
  const std::string_view default_branch = TRY(get_string(config, "branch"));
  add("init repository", fmt::format("ostree init --repo=/buildstream/repo --mode={}",
                                     TRY(get_string(config, "repo-mode"))));
  Layout layout;
  bool any = false;
  const auto add_image = [&](const std::string& path, const std::string& name,
                             std::string_view branch) {
    any = true;
    const std::string directory = directory_of(name);
    layout[directory].push_back(path);
    add("export " + path,
        fmt::format("flatpak build-export --files=files --arch={} /buildstream/repo {} {}", arch,
                    directory, branch));
  };
  for (const ConfiguredDependency& dependency : instance.dependencies) {
    const std::string path(dependency.path);
    if (dependency.config == nullptr) {
      layout["/"].push_back(path);
      continue;
    }
    const Node& own = *dependency.config;
    if (with_branches) {
      CHECK(validate_keys(own, {"flatpak-image", "flatpak-stack", "branch"}));
    } else {
      CHECK(validate_keys(own, {"flatpak-image", "flatpak-stack"}));
    }
    const bool image = TRY(get_bool(own, "flatpak-image", false));
    const bool stack = TRY(get_bool(own, "flatpak-stack", false));
    const std::string_view branch =
        with_branches ? TRY(get_string(own, "branch", default_branch)) : default_branch;
    const auto refuse = [&](std::string_view why) {
      return fail("element", "", std::string(why), provenance(own));
    };
    if (image && stack) return refuse("Dependency specified as both a flatpak image and a stack");
    const Neighbour& neighbour = instance.neighbours->at(dependency.element);
    if (image) {
      add_image(path, neighbour.name, branch);
    } else if (stack) {
      for (const std::string& below : neighbour.runtime)
        add_image(fmt::format("{} ({})", path, below), below, branch);
    } else if (with_branches) {
      return refuse("Dependency specified as neither a flatpak image and a stack");
    } else {
      layout["/"].push_back(path);
    }
  }
  if (!any) {
    return fail("element", "", "No flatpak images specified for this repo",
                instance.element != nullptr ? provenance(instance.element->mark) : Provenance());
  }
  for (const auto& [from, to] : copies) {
    add(fmt::format("copy ref {} -> {}", from, to),
        fmt::format("flatpak build-commit-from --src-ref={} /buildstream/repo {}", from, to));
  }
  const auto cwd = TRY(instance.variables->get("cwd"));
  if (cwd && !cwd->empty()) instance.directories.push_back("cwd");
  KeyFields fields;
  write_key(commands, fields["commands"]);
  fields["cwd"] = json_of(cwd && !cwd->empty() ? std::string_view(*cwd) : "/");
  fields["install-root"] = json_of("/buildstream/repo");
  fields["layout"] = json_of(layout);
  fields["root-read-only"] = json_of(true);
  write_key(fields, key);
  return {};
}

Status configure_flatpak_repo_2(ElementInstance& instance, std::string& key) {
  return configure_flatpak_repo(instance, key, true);
}

// For the plugin as it was before dependencies could have a branch of their own.
Status configure_flatpak_repo_1(ElementInstance& instance, std::string& key) {
  return configure_flatpak_repo(instance, key, false);
}

Status configure_initial_scripts(ElementInstance& instance, std::string& key) {
  CHECK(validate_keys(*instance.config, {"path"}));
  write_key({{"path", json_of(TRY(get_string(*instance.config, "path")))}}, key);
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

constexpr std::string_view kScripts = "collect_initial_scripts";

constexpr KnownElementText kTexts[] = {
    // buildstream-plugins-community 2.4, and what came before.
    {"collect_manifest", "b2a0201641ae0363cb899563e00ff3349371049b5d194dc1ca6413515d6636e9",
     configure_collect_manifest, "collect_manifest", false, true},
    {"collect_manifest", "dfaff4922b899946699c56aa82708f5b615740bfbe14c72b25ccc9097b541e3c",
     configure_collect_manifest_2_0, "collect_manifest/2.0", false, true},
    {"flatpak_image", "4e69f719dc30bfb2b890449fae2bade9842a1700b9a0a2562600f8d6cb993b18",
     configure_flatpak_image, "flatpak_image"},
    {"flatpak_image", "871d4cedda62a9e02c34246a61f1cbd5da3ec1694cd3870ff7e8e5f16ba79bca",
     configure_flatpak_image_2, "flatpak_image/2"},
    {"flatpak_repo", "d4d4a46a8857bf2eb2be15f3a07c5352b0b94f4b0a9a700fdd01835d929eeb1b",
     configure_flatpak_repo_2, "flatpak_repo", true},
    {"flatpak_repo", "aa5589f3f7c0bbf16cfedbf2de4fc4f93af21a659f16f7cf1e1b80c1ddf0266d",
     configure_flatpak_repo_1, "flatpak_repo", true},
    // Those of freedesktop-sdk from 22.08 on, and of projects that took them over.
    {kScripts, "94861fcf61bcd48a832055037544c97875eeb56bc04823b7d4ce3b52f7c25e06",
     configure_initial_scripts, kScripts},
    {kScripts, "447e6ae9737c455a69e107f8aeda4f97670511cb86dbc8c1ac9d3c4da5ce3d9e",
     configure_initial_scripts, kScripts},
    {kScripts, "78d5b7260ae9bbbab066a13ba914325d8f7012b73c912836be71331f6fae2484",
     configure_initial_scripts, kScripts},
    {kScripts, "b1c841c24728972721a6348c375160fe2a9f1bf33addb9adfbf6970bdcc4462c",
     configure_initial_scripts, kScripts},
    {kScripts, "b6ac9e14c76435642b89bc702edacc71a4ca9dff1d9fe7d9e4b4f1148e5e8c48",
     configure_initial_scripts, kScripts},
    {kScripts, "aad4d4ce606214b817ffdc70034863ec55c5722ebb584ef943880450a69eb1b4",
     configure_initial_scripts, kScripts},
    {kScripts, "42fc97a75f52f775980d91f131d02d45ec36e008a59470e9429b064b5fea1361",
     configure_initial_scripts, kScripts},
};

// Those of buildstream-plugins-community 2.4.
constexpr ElementKind kBuiltIn[] = {
    {.name = "collect_manifest",
     .core = false,
     .community = true,
     .runs_commands = false,
     .strict_rebuild = true,
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .lists_sources = true,
     .artifact_version = 2,
     .configure = configure_collect_manifest},
    {.name = "flatpak_image",
     .core = false,
     .community = true,
     .strict_rebuild = true,
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .configures_dependencies = true,
     .configure = configure_flatpak_image},
    {.name = "flatpak_repo",
     .core = false,
     .community = true,
     .strict_rebuild = true,
     .forbids_sources = true,
     .forbids_runtime_dependencies = true,
     .configures_dependencies = true,
     .sees_neighbours = true,
     .artifact_version = 2,
     .configure = configure_flatpak_repo_2},
};

}  // namespace

std::span<const KnownElement> community_element_kinds() { return kKnown; }
std::span<const KnownElementText> community_element_texts() { return kTexts; }
std::span<const ElementKind> built_in_community_kinds() { return kBuiltIn; }

bool has_known_texts(std::string_view name) {
  return std::any_of(std::begin(kTexts), std::end(kTexts),
                     [&](const KnownElementText& text) { return text.name == name; });
}

}  // namespace sluice::loader
