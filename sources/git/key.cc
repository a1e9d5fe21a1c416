// A commit of a repository of git, with its submodules (buildstream-plugins, git).
#include <fmt/format.h>

#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::git {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  const Node* ref = TRY(find_scalar(config, "ref"));
  CHECK(validate_keys(config, {"url", "track", "ref", "submodules", "checkout-submodules",
                               "ref-format", "track-tags", "tags", "version",
                               "version-guess-pattern", "kind", "directory", "provenance"}));
  std::map<std::string, std::string> tags;
  const Node* tag_list = TRY(find_list(config, "tags"));
  if (tag_list != nullptr) {
    for (const Node* tag : tag_list->items()) {
      if (!tag->is_map()) return invalid_data(*tag, "A tag is not specified as a dictionary");
      CHECK(validate_keys(*tag, {"tag", "commit", "annotated"}));
    }
    for (const Node* tag : tag_list->items()) {
      const std::string_view name = TRY(get_string(*tag, "tag"));
      const std::string_view commit = TRY(get_string(*tag, "commit"));
      const bool annotated = TRY(get_bool(*tag, "annotated"));
      tags[std::string(name)] = fmt::format("[{},{}]", json_text(commit), annotated);
    }
  }
  TRY(get_bool(config, "track-tags", false));
  const std::string_view url = TRY(get_string(config, "url"));
  const Node* track = TRY(find_scalar(config, "track"));
  static constexpr std::string_view kFormats[] = {"sha1", "git-describe"};
  if (config.contains("ref-format")) TRY(get_enum(config, "ref-format", kFormats));
  TRY(find_scalar(config, "version-guess-pattern"));
  TRY(find_scalar(config, "version"));
  if (!instance.inline_ref && track == nullptr)
    return source_error(instance, "missing-track-and-ref",
                        "Git sources require a ref and/or track");
  const Submodules submodules = TRY(configure_submodules(instance));
  CHECK(mark_url(instance, url));
  if (ref == nullptr) return {};
  instance.source.ref = model::Node::make_map({{"ref", to_model(*ref)}});
  if (tag_list != nullptr) instance.source.ref.set("tags", to_model(*tag_list));
  // The text before the commit in "1.0-5-gCOMMIT" only describes it.
  const std::size_t commit = ref->text.rfind("-g");
  JsonList list(json);
  list.text(url);
  list.text(commit == std::string_view::npos ? ref->text : ref->text.substr(commit + 2));
  if (!tags.empty()) list.raw(json_object({{"tags", json_object(tags)}}));
  submodules.add_to(list);
  return add_version(config, list);
}

}  // namespace sluice::sources::git
