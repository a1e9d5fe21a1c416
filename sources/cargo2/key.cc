// The crates that a Cargo.lock names, also those of repositories of git
// (buildstream-plugins-community, cargo2).
#include <set>

#include "base/try.h"
#include "sources/crate.h"
#include "sources/keys.h"

namespace sluice::sources::cargo2 {

namespace {

// Keeps what repository_of() wants to know of a repository.
Status mark_repository(Instance& instance, const std::string& repo) {
  const std::string fetched = mirrored_git_url(instance.source, repo);
  CHECK(instance.project.check_url(repo));
  std::vector<model::SourceUrl>& urls = instance.source.more_urls;
  urls.push_back({repo, TRY(instance.project.download_urls(fetched))});
  urls.push_back(
      {kCargoName + repo,
       {TRY(instance.project.translate_url(repo)), TRY(instance.project.translate_url(fetched))}});
  return {};
}

// The same of whatever tracking may find. What is wrong with an alias that no URL has is nobody's
// error.
void mark_aliases(Instance& instance) {
  for (const std::string& name : instance.project.aliases()) {
    const std::string alias = name + ':';
    auto urls = instance.project.download_urls(alias);
    const auto url = instance.project.translate_url(alias);
    if (!urls || !url) continue;
    instance.source.more_urls.push_back({alias, std::move(*urls)});
    instance.source.more_urls.push_back({kCargoName + alias, {*url, *url}});
  }
}

// The ref of a crate, with what is known of it in the order in which tracking writes it, and
// whether it is one that can be fetched.
struct Entry {
  model::Node ref;
  std::string json;
  bool resolved = true;
};
Result<Entry> entry_of(const Node& crate) {
  Entry entry{model::Node::make_map(), {}, true};
  std::map<std::string, std::string> json;
  const auto add = [&](const char* key, std::string_view value) {
    entry.ref.set(key, model::Node::make_scalar(std::string(value)));
    json[key] = json_text(value);
  };
  const bool git = TRY(get_string(crate, "kind", "registry")) == "git";
  const std::string_view name = TRY(get_string(crate, "name"));
  const std::string_view version = TRY(get_string(crate, "version"));
  add("kind", git ? "git" : "registry");
  if (!git) {
    add("name", name);
    add("version", version);
    const Node* sha = TRY(find_scalar(crate, "sha"));
    entry.resolved = sha != nullptr;
    json["sha"] = "null";
    if (sha != nullptr) add("sha", sha->text);
    entry.json = json_object(json);
    return entry;
  }
  const std::string_view repo = TRY(get_string(crate, "repo"));
  add("commit", TRY(get_string(crate, "commit")));
  add("repo", repo);
  const Node* query = TRY(find_map(crate, "query"));
  if (query != nullptr && !query->empty()) {
    model::Node values = model::Node::make_map();
    std::map<std::string, std::string> texts;
    for (const yaml::Entry& one : query->entries()) {
      const std::string_view value = TRY(get_string(*query, one.key));
      values.set(std::string(one.key), model::Node::make_scalar(std::string(value)));
      texts[std::string(one.key)] = json_text(value);
    }
    entry.ref.set("query", std::move(values));
    json["query"] = json_object(texts);
  }
  add("name", name);
  add("version", version);
  entry.json = json_object(json);
  return entry;
}

// `letter` stands for how the plugin stages, and changes with it; "": there is none.
Status configure(Instance& instance, std::string& json, std::string_view vendor_dir,
                 std::string_view letter) {
  const Node& config = instance.config;
  const std::string_view given = TRY(get_string(config, "url", "https://static.crates.io/crates"));
  const std::string_view lock = TRY(get_string(config, "cargo-lock", "Cargo.lock"));
  const std::string_view vendor = TRY(get_string(config, "vendor-dir", vendor_dir));
  if (const Node* mirrors = TRY(find_map(config, "git-mirrors"))) {
    for (const yaml::Entry& mirror : mirrors->entries()) TRY(get_scalar(*mirrors, mirror.key));
  }
  // A URL that is more than an alias names a directory.
  std::string url(given);
  if (!url.ends_with(':') && !url.ends_with('/')) url += '/';
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "url", "ref", "cargo-lock",
                               "vendor-dir", "git-mirrors"}));
  CHECK(mark_url(instance, url));
  const Node* ref = TRY(find_list(config, "ref"));
  std::string crates;
  bool resolved = true;
  std::set<std::string> repositories;
  model::Node& own = instance.source.ref = model::Node::make_list();
  if (ref != nullptr) {
    for (const Node* crate : ref->items()) {
      if (!crate->is_map()) return invalid_data(*crate, "A crate is not specified as a dictionary");
      if (TRY(get_string(*crate, "kind", "")) != "git") continue;
      const std::string repo(TRY(get_string(*crate, "repo")));
      if (repositories.insert(repo).second) CHECK(mark_repository(instance, repo));
    }
    for (const Node* crate : ref->items()) {
      Entry entry = TRY(entry_of(*crate));
      resolved = resolved && entry.resolved;
      crates += (crates.empty() ? "" : ",") + entry.json;
      own.list.push_back(std::move(entry.ref));
    }
  }
  mark_aliases(instance);
  // Without a ref there are no crates, and nothing is missing.
  if (!resolved) return {};
  JsonList list(json);
  list.text(given);
  list.text(lock);
  list.text(vendor);
  list.raw('[' + crates + ']');
  if (!letter.empty()) list.text(letter);
  return {};
}

}  // namespace

Status key(Instance& instance, std::string& json) {
  return configure(instance, json, ".vendored-crates", "a");
}
// Keys of the plugin's first texts, of which projects had copies in 2024.
Status key_of_2024(Instance& instance, std::string& json) {
  return configure(instance, json, "crates", "x");
}
Status key_without_letter(Instance& instance, std::string& json) {
  return configure(instance, json, "crates", "");
}

}  // namespace sluice::sources::cargo2
