#include "sources/key.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::sources {

namespace {

bool is_commit(std::string_view text) {
  return text.size() >= 40 && std::all_of(text.begin(), text.begin() + 40, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

struct Version {
  std::string_view name;
  const Node* node = nullptr;
};

Result<Version> version_of(const Node& config, bool pattern) {
  const Node* version = TRY(find_scalar(config, "version"));
  const Node* guess = pattern ? TRY(find_scalar(config, "version-guess-pattern")) : nullptr;
  if (version != nullptr) return Version{"version", version};
  return Version{"version-guess-pattern", guess};
}

}  // namespace

tl::unexpected<Error> source_error(const Instance& instance, std::string reason,
                                   std::string message, std::string detail) {
  return fail("source", std::move(reason), std::move(message), provenance(instance.mark),
              std::move(detail));
}

Status mark_url(Instance& instance, std::string_view url) {
  CHECK(instance.project.check_url(url));
  model::Source& source = instance.source;
  source.original_url = url;
  source.url = TRY(instance.project.translate_url(url));
  source.urls = TRY(instance.project.download_urls(url));
  if (source.urls.size() == 1 && source.urls[0] == source.url) source.urls.clear();
  return {};
}

Status mark_further_url(Instance& instance, std::string_view url) {
  CHECK(instance.project.check_url(url));
  instance.source.more_urls.push_back({std::string(url), TRY(instance.project.download_urls(url))});
  return {};
}

void JsonList::text(std::string_view text) { raw(json_text(text)); }

void JsonList::raw(std::string_view json) {
  if (out_.back() != '[') out_ += ',';
  out_ += json;
}

std::string json_text(std::string_view text) {
  std::string json;
  json_string(json, text);
  return json;
}

std::string json_object(const std::map<std::string, std::string>& map) {
  std::string json = "{";
  for (const auto& [name, value] : map) {
    if (json.size() > 1) json += ',';
    json += json_text(name) + ':' + value;
  }
  return json + '}';
}

Status add_version(const Node& config, JsonList& key, bool pattern) {
  const Version version = TRY(version_of(config, pattern));
  if (version.node != nullptr) key.text(version.node->text);
  return {};
}

Status add_version(const Node& config, std::map<std::string, std::string>& key) {
  const Version version = TRY(version_of(config, true));
  if (version.node != nullptr) key[std::string(version.name)] = json_text(version.node->text);
  return {};
}

Status configure_download(Instance& instance, JsonList& key) {
  const Node& config = instance.config;
  CHECK(mark_url(instance, TRY(get_string(config, "url"))));
  const Node* ref = TRY(find_scalar(config, "ref"));
  if (ref != nullptr) instance.source.ref = to_model(*ref);
  key.text(instance.source.original_url);
  key.text(instance.source.ref_text());
  return add_version(config, key);
}

Status configure_archive(Instance& instance, std::string& json) {
  std::string text;
  {
    JsonList list(text);
    CHECK(configure_download(instance, list));
    list.text(TRY(get_string(instance.config, "base-dir", "*")));
  }
  CHECK(validate_keys(instance.config, {"kind", "directory", "provenance", "url", "ref",
                                        "version-guess-pattern", "version", "base-dir"}));
  if (instance.config.contains("ref")) json += text;
  return {};
}

Result<Submodules> configure_submodules(Instance& instance) {
  const Node& config = instance.config;
  Submodules result;
  result.checkout = TRY(get_bool(config, "checkout-submodules", true));
  if (const Node* submodules = TRY(find_map(config, "submodules"))) {
    for (const Entry& entry : submodules->entries()) {
      const std::string path(entry.key);
      const Node& submodule = *TRY(get_map(*submodules, entry.key));
      const Node* url = TRY(find_scalar(submodule, "url"));
      if (url != nullptr && !url->text.empty()) CHECK(mark_further_url(instance, url->text));
      result.urls[path] = url != nullptr ? json_text(url->text) : "null";
      if (submodule.contains("checkout"))
        result.checkouts[path] = fmt::format("{}", TRY(get_bool(submodule, "checkout")));
    }
  }
  // What the repository says of its submodules' URLs may have aliases, too.
  if (result.checkout || !result.checkouts.empty()) {
    for (const std::string& alias : instance.project.aliases()) {
      instance.source.more_urls.push_back(
          {alias + ":", TRY(instance.project.download_urls(alias + ":"))});
    }
  }
  return result;
}

void Submodules::add_to(JsonList& key) const {
  if (!checkout) key.raw(json_object({{"checkout_submodules", "false"}}));
  if (!urls.empty()) key.raw(json_object(urls));
  if (!checkouts.empty())
    key.raw(json_object({{"submodule_checkout_overrides", json_object(checkouts)}}));
}

bool is_git_ref(std::string_view ref) {
  if (is_commit(ref)) return true;
  for (std::size_t at = ref.find("-g"); at != std::string_view::npos; at = ref.find("-g", at + 1)) {
    std::size_t digits = at;
    while (digits > 0 && ref[digits - 1] >= '0' && ref[digits - 1] <= '9') --digits;
    if (digits < at && digits > 0 && ref[digits - 1] == '-' && is_commit(ref.substr(at + 2)))
      return true;
  }
  return false;
}

tl::unexpected<Error> bad_git_ref(const Node& ref) {
  return fail("source", "", fmt::format("ref '{}' is not in the expected format", ref.text),
              provenance(ref),
              "It must be a commit, 40 hexadecimal digits, or what `git describe --long` says of "
              "one: TAG-DISTANCE-gCOMMIT.\n"
              "Branches and short commits are no refs; put a branch or tag under `track` and track "
              "the element.");
}

}  // namespace sluice::sources
