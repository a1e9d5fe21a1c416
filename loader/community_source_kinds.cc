// Kinds of sources of widely used collections of plugins. A project brings their Python
// along, and that is what tells that a kind of one of these names is the one that is known
// here: it makes its key in the same words. See kinds.h.
#include <algorithm>

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

bool is_commit(std::string_view text) {
  return text.size() >= 40 && std::all_of(text.begin(), text.begin() + 40, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// "COMMIT" or "TAG-DISTANCE-gCOMMIT"; what follows the commit is not looked at.
bool is_git_ref(std::string_view ref) {
  if (is_commit(ref)) return true;
  for (std::size_t at = ref.find("-g"); at != std::string_view::npos; at = ref.find("-g", at + 1)) {
    std::size_t digits = at;
    while (digits > 0 && ref[digits - 1] >= '0' && ref[digits - 1] <= '9') --digits;
    if (digits < at && digits > 0 && ref[digits - 1] == '-' && is_commit(ref.substr(at + 2))) return true;
  }
  return false;
}

tl::unexpected<Error> bad_git_ref(const Node& ref) {
  return fail("source", "", fmt::format("ref '{}' is not in the expected format", ref.text), provenance(ref),
              "It must be a commit, 40 hexadecimal digits, or what `git describe --long` says of one: TAG-DISTANCE-gCOMMIT.\n"
              "Branches and short commits are no refs; put a branch or tag under `track` and track the element.");
}

// What only describes the version, for keys that are maps.
Status add_version(const Node& config, std::string& json) {
  const Node* version = TRY(find_scalar(config, "version"));
  const Node* guess = TRY(find_scalar(config, "version-guess-pattern"));
  const Node* extra = version != nullptr ? version : guess;
  if (extra == nullptr) return {};
  json += version != nullptr ? ",\"version\":" : ",\"version-guess-pattern\":";
  json_string(json, extra->text);
  return {};
}

// The same for lists.
Status append_version(const Node& config, std::string& json) {
  const Node* version = TRY(find_scalar(config, "version"));
  const Node* guess = TRY(find_scalar(config, "version-guess-pattern"));
  if (const Node* extra = version != nullptr ? version : guess) {
    json += ',';
    json_string(json, extra->text);
  }
  return {};
}

template <bool kVersions>
Status configure_git_repo(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  if (kVersions) {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "track", "exclude", "ref-format", "version",
                                 "version-guess-pattern"}));
  } else {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "track", "exclude", "ref-format"}));
  }
  const Node* ref = TRY(find_scalar(config, "ref"));
  if (ref != nullptr && !is_git_ref(ref->text)) return bad_git_ref(*ref);
  CHECK(mark_url(instance, TRY(get_string(config, "url"))));
  TRY(find_scalar(config, "track"));
  TRY(find_strings(config, "exclude"));
  static constexpr std::string_view kFormats[] = {"sha1", "git-describe"};
  if (config.contains("ref-format")) TRY(get_enum(config, "ref-format", kFormats));
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  key += "{\"bugfix\":1,\"ref\":";
  json_string(key, ref->text);
  CHECK(add_version(config, key));
  key += '}';
  return {};
}

Status configure_go_module(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "module"}));
  std::string ref_json;
  if (const Node* ref = TRY(find_map(config, "ref"))) {
    CHECK(validate_keys(*ref, {"go-version", "git-ref", "explicit"}));
    const std::string_view version = TRY(get_string(*ref, "go-version"));
    const Node& commit = *TRY(get_scalar(*ref, "git-ref"));
    const bool is_explicit = TRY(get_bool(*ref, "explicit"));
    if (!is_git_ref(commit.text)) return bad_git_ref(commit);
    instance.source->ref = commit.text;
    ref_json = fmt::format("{{\"explicit\":{},\"git-ref\":", is_explicit);
    json_string(ref_json, commit.text);
    ref_json += ",\"go-version\":";
    json_string(ref_json, version);
    ref_json += '}';
  }
  const std::string_view url = TRY(get_string(config, "url"));
  const std::string_view module = TRY(get_string(config, "module"));
  CHECK(mark_url(instance, url));
  if (ref_json.empty()) return {};
  key += "{\"bugfix\":0,\"module\":";
  json_string(key, module);
  key += ",\"ref\":" + ref_json + '}';
  return {};
}

Status configure_patch_queue(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "path"}));
  const Node& path_node = *TRY(get_scalar(config, "path"));
  const std::string directory =
      join(instance.project->directory, TRY(instance.project->checked_path(path_node, Project::PathKind::kDirectory)));
  Inputs& inputs = instance.project->inputs();
  std::vector<std::string> names;
  for (Inputs::Entry& entry : inputs.list(directory)) names.push_back(std::move(entry.name));
  std::sort(names.begin(), names.end());
  key += '[';
  for (const std::string& name : names) {
    Arena arena;
    auto content = inputs.read(arena, fmt::format("{}/{}", directory, name));
    if (!content) {
      content.error().provenance = provenance(path_node);
      return forward(content);
    }
    if (key.back() != '[') key += ',';
    json_string(key, sha256_hex(*content));
  }
  key += ']';
  return {};
}

// pypi and cpan: a file below an index, and its sum.
void indexed_key(std::string& key, std::string_view suffix, std::string_view sum) {
  key += '[';
  json_string(key, suffix);
  key += ',';
  json_string(key, sum);
}

Status configure_pypi(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "name", "ref", "prereleases", "include", "exclude", "version",
                               "version-guess-pattern"}));
  TRY(get_string(config, "name"));
  TRY(get_bool(config, "prereleases", false));
  TRY(find_strings(config, "include"));
  TRY(find_strings(config, "exclude"));
  CHECK(mark_url(instance, TRY(get_string(config, "url", "https://files.pythonhosted.org/packages/"))));
  const Node* ref = TRY(find_map(config, "ref"));
  if (ref == nullptr || ref->empty()) return {};
  const std::string_view suffix = TRY(get_string(*ref, "suffix"));
  const std::string_view sum = TRY(get_string(*ref, "sha256sum"));
  if (suffix.empty() || sum.empty()) return {};
  instance.source->ref = sum;
  indexed_key(key, suffix, sum);
  CHECK(append_version(config, key));
  key += ']';
  return {};
}

Status configure_cpan(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "name", "suffix", "sha256sum", "index", "version", "version-guess-pattern"}));
  TRY(get_string(config, "name"));
  CHECK(mark_url(instance, TRY(get_string(config, "index", "https://cpan.metacpan.org/"))));
  const Node* sum = TRY(find_scalar(config, "sha256sum"));
  const Node* suffix = TRY(find_scalar(config, "suffix"));
  if (sum == nullptr || suffix == nullptr) return {};
  instance.source->ref = sum->text;
  indexed_key(key, suffix->text, sum->text);
  CHECK(append_version(config, key));
  key += ']';
  return {};
}

Status configure_zip(SourceInstance& instance, std::string& key) {
  const Node& config = *instance.config;
  const std::string_view url = TRY(get_string(config, "url"));
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(mark_url(instance, url));
  const std::string_view base = TRY(get_string(config, "base-dir", "*"));
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "ref", "version-guess-pattern", "version", "base-dir"}));
  if (ref == nullptr) return {};
  instance.source->ref = ref->text;
  indexed_key(key, url, ref->text);
  CHECK(append_version(config, key));
  key += ',';
  json_string(key, base);
  key += ']';
  return {};
}

constexpr KnownSource kKnown[] = {
    {"eed2d19141466795698965fb67be62ab0a41e1578fa0367e4442edbdfd22d7a7",
     {.name = "git_repo", .core = false, .configure = configure_git_repo<true>}},
    {"f63669aec291e2613761d2f93e5930c09e09c4cf9a2c7e9bbfee8adb1469bdaf",
     {.name = "git_repo", .core = false, .configure = configure_git_repo<false>}},
    {"fbbef93cb37296365cfde9e652d793b3b12801c78e5293503ad7f13dca9fdb24",
     {.name = "go_module", .core = false, .needs_previous = true, .configure = configure_go_module}},
    {"253dc1b1bf395f5e52dc6b20e97eba03e4fdbeec06f895408f668e1c53da14a3",
     {.name = "patch_queue", .core = false, .ref_keys = {"", ""}, .configure = configure_patch_queue}},
    {"b274a423d07eadb4bb8f46dec35c66bacf79fceaf0c177a44a33e82b0ae43ceb",
     {.name = "pypi", .core = false, .configure = configure_pypi}},
    {"b274a423d07eadb4bb8f46dec35c66bacf79fceaf0c177a44a33e82b0ae43ceb",
     {.name = "cpan", .core = false, .ref_keys = {"suffix", "sha256sum"}, .configure = configure_cpan}},
    {"9fdc60e96948bea0ee3d0da2d359b91cd8f289b029f6d68ceb878fc4a4acf5fa",
     {.name = "zip", .core = false, .configure = configure_zip}},
};

}  // namespace

std::span<const KnownSource> community_source_kinds() { return kKnown; }

}  // namespace sluice::loader
