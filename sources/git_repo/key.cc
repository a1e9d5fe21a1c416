// A commit of a repository of git (buildstream-plugins-community, git_repo).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::git_repo {

namespace {

Status configure(Instance& instance, std::string& json, bool versions) {
  const Node& config = instance.config;
  if (versions) {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "track",
                                 "exclude", "ref-format", "version", "version-guess-pattern"}));
  } else {
    CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "track",
                                 "exclude", "ref-format"}));
  }
  const Node* ref = TRY(find_scalar(config, "ref"));
  if (ref != nullptr && !is_git_ref(ref->text)) return bad_git_ref(*ref);
  CHECK(mark_url(instance, TRY(get_string(config, "url"))));
  TRY(find_scalar(config, "track"));
  TRY(find_strings(config, "exclude"));
  static constexpr std::string_view kFormats[] = {"sha1", "git-describe"};
  if (config.contains("ref-format")) TRY(get_enum(config, "ref-format", kFormats));
  if (ref == nullptr) return {};
  instance.source.ref = to_model(*ref);
  std::map<std::string, std::string> key = {{"bugfix", "1"}, {"ref", json_text(ref->text)}};
  CHECK(add_version(config, key));
  json += json_object(key);
  return {};
}

}  // namespace

Status key(Instance& instance, std::string& json) { return configure(instance, json, true); }
// The key that the plugin made before its configuration told of versions.
Status key_without_version(Instance& instance, std::string& json) {
  return configure(instance, json, false);
}

}  // namespace sluice::sources::git_repo
