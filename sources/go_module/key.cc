// A module of Go that lies in a repository of git (buildstream-plugins-community, go_module). Its
// releases before 2.2 staged otherwise, and so made another key.
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::go_module {

namespace {

Status configure(Instance& instance, std::string& json, bool subdirectories) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "module"}));
  std::string ref_json;
  if (const Node* ref = TRY(find_map(config, "ref"))) {
    if (subdirectories) {
      CHECK(validate_keys(*ref, {"go-version", "git-ref", "explicit", "subdirectory"}));
    } else {
      CHECK(validate_keys(*ref, {"go-version", "git-ref", "explicit"}));
    }
    const std::string_view version = TRY(get_string(*ref, "go-version"));
    const Node& commit = *TRY(get_scalar(*ref, "git-ref"));
    const bool is_explicit = TRY(get_bool(*ref, "explicit"));
    std::map<std::string, std::string> key = {{"explicit", is_explicit ? "true" : "false"},
                                              {"git-ref", json_text(commit.text)},
                                              {"go-version", json_text(version)}};
    if (const Node* subdirectory = TRY(find_scalar(*ref, "subdirectory")))
      key["subdirectory"] = json_text(subdirectory->text);
    if (!is_git_ref(commit.text)) return bad_git_ref(commit);
    instance.source.ref = to_model(*ref);
    ref_json = json_object(key);
  }
  const std::string_view url = TRY(get_string(config, "url"));
  const std::string_view module = TRY(get_string(config, "module"));
  CHECK(mark_url(instance, url));
  if (!ref_json.empty())
    json += json_object(
        {{"bugfix", subdirectories ? "1" : "0"}, {"module", json_text(module)}, {"ref", ref_json}});
  return {};
}

}  // namespace

Status key(Instance& instance, std::string& json) { return configure(instance, json, true); }
Status key_before_2_2(Instance& instance, std::string& json) {
  return configure(instance, json, false);
}

}  // namespace sluice::sources::go_module
