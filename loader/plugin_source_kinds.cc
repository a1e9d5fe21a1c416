// The kinds of sources of buildstream-plugins 2.8. See kinds.h.
#include <map>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/sha256.h"
#include "base/try.h"
#include "loader/kinds.h"
#include "loader/project.h"
#include "loader/yaml.h"
#include "project/inputs.h"
#include "yaml/json.h"

namespace sluice::loader {

namespace {

tl::unexpected<Error> source_error(const SourceInstance& instance, std::string reason, std::string message, std::string detail = {}) {
  return fail("source", std::move(reason), std::move(message), provenance(instance.mark), std::move(detail));
}

// A JSON list in the making.
class JsonList {
 public:
  explicit JsonList(std::string& out) : out_(out) { out_ += '['; }
  ~JsonList() { out_ += ']'; }
  JsonList(const JsonList&) = delete;
  JsonList& operator=(const JsonList&) = delete;

  void text(std::string_view text) {
    next();
    json_string(out_, text);
  }
  void raw(std::string_view json) {
    next();
    out_ += json;
  }

 private:
  void next() {
    if (out_.back() != '[') out_ += ',';
  }
  std::string& out_;
};

// `map` sorts by name.
std::string json_object(const std::map<std::string, std::string>& map) {
  std::string json = "{";
  for (const auto& [name, value] : map) {
    if (json.size() > 1) json += ',';
    json_string(json, name);
    json += ':' + value;
  }
  return json + '}';
}

std::string quoted(std::string_view text) {
  std::string json;
  json_string(json, text);
  return json;
}

// What only describes the version is in keys all the same.
Status add_version(const Node& config, JsonList& key, bool pattern) {
  const Node* version = TRY(find_scalar(config, "version"));
  const Node* guess = pattern ? TRY(find_scalar(config, "version-guess-pattern")) : nullptr;
  if (const Node* extra = version != nullptr ? version : guess) key.text(extra->text);
  return {};
}

// ---- git ----

Status configure_git(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(validate_keys(config, {"url", "track", "ref", "submodules", "checkout-submodules", "ref-format", "track-tags", "tags", "version",
                               "version-guess-pattern", "kind", "directory", "provenance"}));
  std::map<std::string, std::string> tags;
  if (const Node* list = TRY(find_list(config, "tags"))) {
    for (const Node* tag : list->items()) {
      if (!tag->is_map()) return invalid_data(*tag, "A tag is not specified as a dictionary");
      CHECK(validate_keys(*tag, {"tag", "commit", "annotated"}));
    }
    for (const Node* tag : list->items()) {
      const std::string_view name = TRY(get_string(*tag, "tag"));
      const std::string_view commit = TRY(get_string(*tag, "commit"));
      const bool annotated = TRY(get_bool(*tag, "annotated"));
      tags[std::string(name)] = fmt::format("[{},{}]", quoted(commit), annotated);
    }
  }
  TRY(get_bool(config, "track-tags", false));
  const std::string_view url = TRY(get_string(config, "url"));
  const Node* track = TRY(find_scalar(config, "track"));
  static constexpr std::string_view kFormats[] = {"sha1", "git-describe"};
  if (config.contains("ref-format")) TRY(get_enum(config, "ref-format", kFormats));
  TRY(find_scalar(config, "version-guess-pattern"));
  TRY(find_scalar(config, "version"));
  if (!instance.inline_ref && track == nullptr) return source_error(instance, "missing-track-and-ref", "Git sources require a ref and/or track");
  const bool checkout = TRY(get_bool(config, "checkout-submodules", true));
  std::map<std::string, std::string> urls;
  std::map<std::string, std::string> checkouts;
  if (const Node* submodules = TRY(find_map(config, "submodules"))) {
    for (const Entry& entry : submodules->entries()) {
      const Node& submodule = *TRY(get_map(*submodules, entry.key));
      const Node* own_url = TRY(find_scalar(submodule, "url"));
      if (own_url != nullptr && !own_url->text.empty()) CHECK(mark_url(instance, own_url->text, false));
      urls[std::string(entry.key)] = own_url != nullptr ? quoted(own_url->text) : "null";
      if (submodule.contains("checkout")) checkouts[std::string(entry.key)] = fmt::format("{}", TRY(get_bool(submodule, "checkout")));
    }
  }
  CHECK(mark_url(instance, url));
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  // What stands before the commit only describes it: "1.0-5-gCOMMIT".
  const std::size_t commit = ref->text.rfind("-g");
  JsonList list(key);
  list.text(url);
  list.text(commit == std::string_view::npos ? ref->text : ref->text.substr(commit + 2));
  if (!tags.empty()) list.raw(json_object({{"tags", json_object(tags)}}));
  if (!checkout) list.raw(json_object({{"checkout_submodules", "false"}}));
  if (!urls.empty()) list.raw(json_object(urls));
  if (!checkouts.empty()) list.raw(json_object({{"submodule_checkout_overrides", json_object(checkouts)}}));
  return add_version(config, list, true);
}

// ---- bzr ----

Status configure_bzr(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"url", "track", "ref", "version", "kind", "directory", "provenance"}));
  const std::string_view url = TRY(get_string(config, "url"));
  const std::string_view track = TRY(get_string(config, "track"));
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(mark_url(instance, url));
  TRY(find_scalar(config, "version"));
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  JsonList list(key);
  list.text(url);
  list.text(track);
  list.text(ref->text);
  return add_version(config, list, false);
}

// ---- cargo ----

Status configure_cargo(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  const std::string_view given = TRY(get_string(config, "url", "https://static.crates.io/crates"));
  const std::string_view lock = TRY(get_string(config, "cargo-lock", "Cargo.lock"));
  const std::string_view vendor = TRY(get_string(config, "vendor-dir", "crates"));
  const Node* ref = TRY(find_list(config, "ref"));
  // A URL that is more than an alias is a directory.
  std::string url(given);
  if (!url.ends_with(':') && !url.ends_with('/')) url += '/';
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "ref", "cargo-lock", "vendor-dir"}));
  CHECK(mark_url(instance, url));
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
      crates += json_object({{"name", quoted(name)}, {"version", quoted(version)}, {"sha", sha != nullptr ? quoted(sha->text) : "null"}});
    }
  }
  if (!resolved) return {};
  JsonList list(key);
  list.text(given);
  list.text(lock);
  list.text(vendor);
  list.raw(crates + ']');
  return {};
}

// ---- docker ----

Status configure_docker(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "architecture", "registry-url", "image", "os", "ref", "track", "url", "version"}));
  const bool has_url = config.contains("url");
  const bool has_image = config.contains("image");
  if (has_url && (has_image || config.contains("registry-url"))) {
    return source_error(instance, "", "May specify either 'url', or 'image' and 'registry-url'");
  }
  if (!has_url && !has_image) return source_error(instance, "", "Must define either 'url' or 'image'");
  std::string_view url;
  std::string_view image;
  if (has_url) {
    url = TRY(get_string(config, "url"));
  } else {
    image = TRY(get_string(config, "image"));
    url = TRY(get_string(config, "registry-url", "https://registry.hub.docker.com"));
  }
  CHECK(mark_url(instance, url));
  for (std::string_view name : {"track", "architecture", "os", "version"}) TRY(find_scalar(config, name));
  const Node* ref = TRY(find_scalar(config, "ref"));
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  JsonList list(key);
  list.text(url);
  if (has_image) list.text(image);
  list.text(fmt::format("sha256:{}", ref->text));
  return add_version(config, list, false);
}

// ---- patch ----

Status configure_patch(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"path", "strip-level", "kind", "directory", "provenance"}));
  const Node& path_node = *TRY(get_scalar(config, "path"));
  const std::string path = TRY(instance.project->checked_path(path_node, Project::PathKind::kFile));
  std::int64_t strip_level = 1;
  if (const auto given = TRY(find_int(config, "strip-level"))) strip_level = *given;
  const std::string full = join(instance.project->directory, path);
  instance.source->path = full;
  Arena arena;
  const std::string_view content = TRY(instance.project->inputs().read(arena, full));
  JsonList list(key);
  // What was loaded is what is applied.
  instance.source->local_digest = {sha256_hex(content), static_cast<std::int64_t>(content.size())};
  list.text(path);
  list.text(instance.source->local_digest.hash);
  list.raw(fmt::format("{}", strip_level));
  return {};
}

// ---- pip ----

Status configure_pip(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"url", "packages", "ref", "requirements-files", "kind", "directory", "provenance"}));
  const Node* ref = TRY(find_scalar(config, "ref"));
  const std::string_view url = TRY(get_string(config, "url", "https://pypi.org/simple/"));
  CHECK(mark_url(instance, url));
  const auto packages = TRY(find_strings(config, "packages"));
  const auto requirements = TRY(find_strings(config, "requirements-files"));
  if (packages.empty() && requirements.empty()) {
    return source_error(instance, "", "Either 'packages' or 'requirements-files' must be specified");
  }
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  JsonList list(key);
  list.text(url);
  list.text(ref->text);
  return {};
}

constexpr SourceKind kKinds[] = {
    {.name = "bzr", .core = false, .configure = configure_bzr},
    {.name = "cargo", .core = false, .custom_provenance = true, .needs_previous = true, .configure = configure_cargo},
    {.name = "docker", .core = false, .configure = configure_docker},
    {.name = "git", .core = false, .ref_keys = {"ref", "tags"}, .configure = configure_git},
    {.name = "patch", .core = false, .ref_keys = {"", ""}, .fetched = true, .configure = configure_patch},
    {.name = "pip", .core = false, .needs_previous = true, .configure = configure_pip},
};

// The Python of these kinds, for copies that lie elsewhere. Earlier versions of git take
// less, and make the same keys of it.
constexpr KnownSource kKnown[] = {
    {"1715ed51d7b20c410d1ae00bacb7d3453c22420b0e5c6d29d0ec121b935fdfc1", kKinds[0]},
    {"a21fcd555c5baecffc8f65f5aeffafb47af6f4d6c944a4d9afbbc3eab7f6adfe", kKinds[1]},
    {"1dba1ac2c2cb4c073b848d318dcc2f42119489eb5f2c6c1708d4afce172b4e9e", kKinds[2]},
    {"9a00fe3ec110111a5b6b909c4dd9c8394fdb88f2008aa9adc91c7c777413b107", kKinds[3]},
    {"53ccdf620ec532dbbe31b30bebb951ab9dba62cc16016d55eb8c4dffa89fa96d", kKinds[3]},
    {"67e679e1a7df2fd746744569720e7103a0b5f98d10319fcb017dfbe0f50f4e2f", kKinds[4]},
    {"0439f87e53cc68f5f151ac5025043cc26ef2e824f14963edd7a9744437abe15b", kKinds[5]},
};

bool in_own_package(std::string_view file, std::string_view kind) {
  return file.ends_with(fmt::format("/buildstream_plugins/sources/{}.py", kind));
}

}  // namespace

std::span<const SourceKind> plugin_source_kinds() { return kKinds; }

SourceKind plugin_source_kind(const PluginClass& plugin, std::string_view name, std::string_view file) {
  for (const SourceKind& kind : kKinds) {
    if (kind.name == name && in_own_package(file, name)) return kind;
  }
  const std::string fingerprint = plugin.fingerprint("get_unique_key");
  for (const std::span<const KnownSource> table : {std::span<const KnownSource>(kKnown), community_source_kinds()}) {
    for (const KnownSource& known : table) {
      if (known.kind.name == name && known.fingerprint == fingerprint) return known.kind;
    }
  }
  SourceKind kind;
  kind.name = name;
  kind.core = false;
  kind.custom_provenance = plugin.flag("BST_CUSTOM_SOURCE_PROVENANCE");
  kind.needs_previous = plugin.flag("BST_REQUIRES_PREVIOUS_SOURCES_TRACK") || plugin.flag("BST_REQUIRES_PREVIOUS_SOURCES_FETCH");
  return kind;
}

}  // namespace sluice::loader
