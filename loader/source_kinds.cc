// The kinds of sources. See kinds.h.
#include <fmt/format.h>

#include "base/paths.h"
#include "base/try.h"
#include "loader/kinds.h"
#include "loader/project.h"
#include "yaml/json.h"

namespace sluice::loader {

namespace {

tl::unexpected<Error> source_error(const SourceInstance& instance, std::string reason, std::string message) {
  return fail("source", std::move(reason), std::move(message), provenance(instance.mark));
}

// The part that all sources have in common which download one file: url and ref, and
// what only describes the version, which is in the key all the same. Leaves the JSON
// list open.
Status configure_download(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(mark_url(instance, TRY(get_string(config, "url"))));
  const Node* ref = TRY(find_scalar(config, "ref"));
  const Node* pattern = TRY(find_scalar(config, "version-guess-pattern"));
  const Node* version = TRY(find_scalar(config, "version"));
  if (ref != nullptr) instance.source->ref = ref->text;
  key += '[';
  json_string(key, instance.source->original_url);
  key += ',';
  json_string(key, instance.source->ref);
  if (const Node* extra = version != nullptr ? version : pattern) {
    key += ',';
    json_string(key, extra->text);
  }
  return {};
}

Status configure_tar(SourceInstance& instance, std::string& key) {
  std::string json;
  CHECK(configure_download(instance, json));
  const std::string_view base = TRY(get_string(*instance.config, "base-dir", "*"));
  CHECK(validate_keys(*instance.config, {"kind", "directory", "provenance", "url", "ref", "version-guess-pattern", "version", "base-dir"}));
  json += ',';
  json_string(json, base);
  json += ']';
  if (instance.config->contains("ref")) key += json;
  return {};
}

Status configure_local(SourceInstance& instance, std::string&) {
  CHECK(validate_keys(*instance.config, {"path", "kind", "directory", "provenance"}));
  const std::string path = TRY(instance.project->checked_path(*TRY(get_scalar(*instance.config, "path"))));
  instance.source->path = join(instance.project->directory, path);
  return {};
}

Status configure_remote(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  std::string json;
  CHECK(configure_download(instance, json));
  const std::string& url = instance.source->url;
  const std::string_view filename = TRY(get_string(config, "filename", std::string_view(url).substr(url.rfind('/') + 1)));
  const bool executable = TRY(get_bool(config, "executable", false));
  if (filename.find('/') != std::string_view::npos) {
    return source_error(instance, "filename-contains-directory", "filename parameter cannot contain directories");
  }
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "ref", "version-guess-pattern", "version", "filename", "executable"}));
  json += ',';
  json_string(json, filename);
  json += executable ? ",true]" : ",false]";
  if (config.contains("ref")) key += json;
  return {};
}

constexpr SourceKind kSourceKinds[] = {
    {.name = "local", .local = true, .ref_keys = {"", ""}, .fetched = true, .configure = configure_local},
    {.name = "remote", .fetched = true, .configure = configure_remote},
    {.name = "tar", .fetched = true, .configure = configure_tar},
};

}  // namespace

Status mark_url(SourceInstance& instance, std::string_view url, bool primary) {
  const Project& project = *instance.project;
  const Provenance at = provenance(instance.mark);
  if (!TRY(project.check_url(url, at, instance.first_pass))) {
    const std::string message = fmt::format("[unaliased-url]: {} source at {}: Use of unaliased source download URL: {}",
                                            instance.source->kind, at.str(), url);
    if (project.warning_is_fatal("unaliased-url")) return fail("plugin", "unaliased-url", message, at);
    instance.warnings->push_back(message);
  }
  if (!primary) return {};
  instance.source->original_url = url;
  instance.source->url = TRY(project.translate_url(url, at, instance.first_pass));
  instance.source->urls = TRY(project.download_urls(url, instance.first_pass, false));
  if (instance.source->urls.size() == 1 && instance.source->urls[0] == instance.source->url) instance.source->urls.clear();
  return {};
}

const SourceKind* find_source_kind(std::string_view name) {
  for (const SourceKind& kind : kSourceKinds) {
    if (kind.name == name) return &kind;
  }
  for (const SourceKind& kind : plugin_source_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace sluice::loader
