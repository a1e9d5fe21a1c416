// A module of Go that lies in a repository of git (buildstream-plugins-community, go_module).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::go_module {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "ref", "url", "module"}));
  std::string ref_json;
  if (const Node* ref = TRY(find_map(config, "ref"))) {
    CHECK(validate_keys(*ref, {"go-version", "git-ref", "explicit"}));
    const std::string_view version = TRY(get_string(*ref, "go-version"));
    const Node& commit = *TRY(get_scalar(*ref, "git-ref"));
    const bool is_explicit = TRY(get_bool(*ref, "explicit"));
    if (!is_git_ref(commit.text)) return bad_git_ref(commit);
    instance.source.ref = to_model(*ref);
    ref_json = json_object({{"explicit", is_explicit ? "true" : "false"},
                            {"git-ref", json_text(commit.text)},
                            {"go-version", json_text(version)}});
  }
  const std::string_view url = TRY(get_string(config, "url"));
  const std::string_view module = TRY(get_string(config, "module"));
  CHECK(mark_url(instance, url));
  if (!ref_json.empty())
    json += json_object({{"bugfix", "0"}, {"module", json_text(module)}, {"ref", ref_json}});
  return {};
}

}  // namespace sluice::sources::go_module
