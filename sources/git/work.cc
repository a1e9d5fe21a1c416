// The work of kind git, a commit of a repository with its submodules, by the `git` program
// (buildstream-plugins, git).
//
// BuildStream's plugin fetches all branches and tags, or a tag alone when the ref says that it is
// of one. Here a commit of which nobody asks for the history is fetched alone, where the server
// allows that.
#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "sources/git_mirror.h"
#include "sources/works.h"
#include "store/directory.h"
#include "store/downloads.h"

namespace sluice::sources::git {

namespace {

// The deepest level of submodules within submodules.
constexpr std::size_t kMaxNesting = 64;

std::string commit_of(const std::string& ref) {
  const std::size_t at = ref.rfind("-g");
  return at == std::string::npos ? ref : ref.substr(at + 2);
}

// The tag of a ref that is exactly that, "TAG-0-gCOMMIT"; "" for others.
std::string exact_tag(const std::string& ref) {
  const std::size_t at = ref.rfind("-0-g");
  return at == std::string::npos ? "" : ref.substr(0, at);
}

bool is_id(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_true(const std::string& text) { return text == "True" || text == "true"; }

struct Tag {
  std::string name, commit;
  bool annotated = false;
  auto operator<=>(const Tag&) const = default;
};

std::vector<Tag> tags_of(const model::Node& ref) {
  std::vector<Tag> tags;
  if (const model::Node* list = ref.find("tags")) {
    for (const model::Node& tag : list->list)
      tags.push_back(
          {tag.get_string("tag"), tag.get_string("commit"), is_true(tag.get_string("annotated"))});
  }
  return tags;
}

// Whether a path that a repository names stays in it, and out of its .git.
bool is_safe_path(std::string_view path) {
  if (path.empty()) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    std::string name(path.substr(at, end - at));
    at = end + 1;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name.empty() || name == "." || name == ".." || name == ".git" ||
        name.find('\0') != std::string::npos)
      return false;
  }
  return true;
}

// A URL of .gitmodules that begins with "./" or "../" is below that of the repository that it is
// in.
std::string resolved(std::string base, std::string_view url) {
  if (!url.starts_with("./") && !url.starts_with("../")) return std::string(url);
  while (base.ends_with('/')) base.pop_back();
  for (;;) {
    if (url.starts_with("./")) {
      url.remove_prefix(2);
    } else if (url.starts_with("../")) {
      url.remove_prefix(3);
      const std::size_t slash = base.find_last_of("/:");
      if (slash == std::string::npos) break;
      base.resize(base[slash] == ':' ? slash + 1 : slash);
    } else {
      break;
    }
  }
  return base.ends_with(':') ? base + std::string(url) : fmt::format("{}/{}", base, url);
}

// Module is a repository: the source's own, or a submodule.
struct Module {
  std::string path;               // from the top; "" for the source's own repository
  std::string url;                // the URL as it is written
  std::vector<std::string> urls;  // the URLs to fetch from, in the order to try
  std::string ref;
  std::string mirror;
};

class Repository {
 public:
  Repository(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings), git_(source, surroundings),
        tags_(tags_of(source.ref)), track_(source.config.get_string("track")) {
    main_.url = source.original_url;
    main_.urls = source.urls.empty() ? std::vector{source.url} : source.urls;
    main_.ref = source.ref.get_string("ref");
    main_.mirror = mirror_of(source.original_url);
  }

  Result<std::optional<Found>> track() {
    if (track_.empty()) {
      if (!main_.ref.empty()) return std::optional<Found>();
      return source_error(
          source_, "track-attempt-no-track", fmt::format("{}No track or ref", where(source_)),
          "Without a tracking branch ref can not be updated. Please provide a ref or a track.");
    }
    if (track_.starts_with('-'))
      return source_error(source_, "",
                          fmt::format("{}Unable to find revision {}", where(source_), track_));
    const GitMirror mirror(git_, main_.mirror);
    Found found;
    const auto track_at = [&](const std::string& url) -> Status {
      const UniqueFd lock = TRY(GitMirror(git_, main_.mirror).open());
      CHECK(fetch_all(mirror, url));
      auto commit = TRY(mirror.output({"rev-list", "-n", "1", "--end-of-options", track_, "--"},
                                      fmt::format("Unable to find revision {}", track_)));
      std::vector<Tag> tags;
      if (is_true(source_.config.get_string("track-tags"))) {
        tags = TRY(reachable_tags(mirror, commit));
      }
      std::string ref = commit;
      if (source_.config.get_string("ref-format") == "git-describe") {
        ref = TRY(mirror.output({"describe", "--tags", "--abbrev=40", "--long", "--always", commit},
                                fmt::format("Unable to find revision {}", commit)));
      }
      found = found_of(std::move(ref), std::move(tags));
      return {};
    };
    CHECK(try_urls(git_, source_.url, source_.track_urls, fmt::format("Tracking {} from", track_),
                   track_at));
    return std::optional(std::move(found));
  }

  Result<bool> cached() {
    std::vector<Module> modules = {main_};
    auto has = GitMirror(git_, main_.mirror).has_commit(main_.ref);
    if (!has || !*has) return has;
    CHECK(add_submodules(main_, true, 0, modules));
    for (const Module& module : modules) {
      auto there = GitMirror(git_, module.mirror).has_commit(module.ref);
      if (!there || !*there) return there;
    }
    return true;
  }

  // Fetches the repository and its submodules; `whole`: with the history that a workspace gets.
  Status fetch(bool whole) {
    if (main_.ref.starts_with('-'))
      return source_error(source_, "bad-ref",
                          fmt::format("{}'{}' is no ref", where(source_), main_.ref));
    return fetch_tree(main_, main_.ref, whole, 0);
  }

  // Whether a mirror lacked what it was believed to have, and has it now: nothing is to be looked
  // at so closely before it turned out not to be there.
  Result<bool> mend(bool whole) {
    mending_ = true;
    mended_ = false;
    CHECK(fetch(whole));
    mending_ = false;
    return mended_;
  }

  Status stage(const std::string& directory) {
    auto modules = TRY(modules_to_stage());
    Step step(surroundings_, fmt::format("Staging {}", source_.original_url));
    auto aside = TRY(surroundings_.directory("git-index"));
    for (const Module& module : modules) {
      const std::string place =
          module.path.empty() ? directory : fmt::format("{}/{}", directory, module.path);
      CHECK(make_directories(place));
      const std::string index = aside + "/index";
      auto written = git_.output(
          {.arguments = {"read-tree", "-u", "--reset", commit_of(module.ref) + "^{tree}"},
           .directory = place,
           .git_dir = module.mirror,
           .work_tree = place,
           .index = index},
          fmt::format("Failed to checkout git ref {}", module.ref));
      std::error_code ignored;
      std::filesystem::remove(index, ignored);
      if (!written) return forward(written);
    }
    if (!tags_.empty()) {
      CHECK(rebuild_git(directory));
    }
    step.success();
    return {};
  }

  Status init_workspace(const std::string& directory) {
    CHECK(fetch(true));
    auto modules = TRY(modules_to_stage());
    Step step(surroundings_, fmt::format("Setting up workspace \"{}\"", directory));
    for (const Module& module : modules) {
      const std::string place =
          module.path.empty() ? directory : fmt::format("{}/{}", directory, module.path);
      const std::string url = module.urls.empty() ? module.url : module.urls.back();
      // A clone has the mirror's files as they are: history that is missing would be missing there.
      CHECK(GitMirror(git_, module.mirror)
                .output({"rev-list", "--count", commit_of(module.ref), "--"},
                        fmt::format("Failed to get the history of {}", module.ref)));
      const GitCall clone{
          .arguments = {"clone", "--quiet", "--no-checkout", "--", module.mirror, place},
          .directory = directory};
      CHECK(git_.output(clone, fmt::format("Failed to clone git mirror {} in directory: {}",
                                           module.mirror, place)));
      const GitCall set_url{.arguments = {"remote", "set-url", "origin", "--",
                                          module.path.empty() ? source_.url : url},
                            .directory = place};
      CHECK(git_.output(set_url, fmt::format("Failed to add remote origin \"{}\"", url)));
      const std::string commit = commit_of(module.ref);
      // A commit that no branch or tag leads to wasn't cloned.
      if (is_id(commit)) {
        auto there = TRY(
            git_.run({.arguments = {"cat-file", "-e", commit + "^{commit}"}, .directory = place}));
        const GitCall more{
            .arguments = {"fetch", "--quiet", "--", module.mirror, GitMirror::kept_name(commit)},
            .directory = place};
        if (there.status != 0) {
          CHECK(git_.output(more, fmt::format("Failed to checkout git ref {}", module.ref)));
          std::error_code ignored;
          std::filesystem::remove(place + "/.git/FETCH_HEAD", ignored);
        }
      }
      const GitCall checkout{.arguments = {"checkout", "--quiet", "--force", commit},
                             .directory = place};
      CHECK(git_.output(checkout, fmt::format("Failed to checkout git ref {}", module.ref)));
    }
    step.success();
    return {};
  }

 private:
  std::string mirror_of(const std::string& url) const {
    return store::mirror_directory(surroundings_.settings(), source_.kind, url);
  }

  tl::unexpected<Error> not_fetched(const ToolRun& run, const std::string& url) const {
    auto error =
        git_.failed(run, fmt::format("Failed to fetch from remote git repository: {}", url));
    if (!is_refusal(run)) error.value().reason = kFetchFailed;
    return error;
  }

  Status fetch_all(const GitMirror& mirror, const std::string& url) {
    auto ended = TRY(mirror.fetch(
        url, {.refspecs = GitMirror::branches_and_tags(), .prune = true, .again = mending_}));
    if (ended.status != 0) return not_fetched(ended, url);
    return {};
  }

  // Whether the repository's history is looked at, by the plugin or in what is staged.
  bool needs_history(const Module& module) const {
    if (!module.path.empty()) return false;
    const std::string commit = commit_of(module.ref);
    if (std::any_of(tags_.begin(), tags_.end(),
                    [&](const Tag& tag) { return tag.commit != commit; }))
      return true;
    return !track_.empty() && exact_tag(module.ref).empty();
  }

  // Extent says what is to be had: the commit, all of the history, or for who works in it what the
  // ref says.
  struct Extent {
    bool history = false;
    bool tag = false;
  };

  Result<bool> is_there(const GitMirror& mirror, const Module& module, Extent extent) {
    auto has = mirror.has_commit(module.ref);
    if (!has || !*has || !path_exists(mirror.path() + "/shallow")) return has;
    if (extent.history) return false;
    return extent.tag ? mirror.has_commit("refs/tags/" + exact_tag(module.ref)) : has;
  }

  Status fetch_module(const Module& module, bool whole) {
    const GitMirror mirror(git_, module.mirror);
    // A ref that is exactly a tag is worked on without what was before.
    const bool tag = !exact_tag(module.ref).empty();
    const Extent extent{(whole && !tag) || needs_history(module), whole && tag};
    const auto has_all = [&]() -> Result<bool> {
      if (!TRY(is_there(mirror, module, extent))) return false;
      return mending_ ? mirror.is_readable(commit_of(module.ref)) : true;
    };
    if (TRY(has_all())) return {};
    return try_urls(git_, module.url, module.urls, "Fetching from",
                    [&](const std::string& url) -> Status {
                      const UniqueFd lock = TRY(GitMirror(git_, module.mirror).open());
                      if (TRY(has_all())) return {};
                      if (mending_) mirror.warn_damaged();
                      CHECK(fetch_commit(mirror, module, url, extent));
                      mended_ = true;
                      if (TRY(mirror.has_commit(module.ref))) return {};
                      return source_error(
                          source_, "ref-not-found",
                          fmt::format("{}expected ref '{}' was not found in git repository: '{}'",
                                      where(source_), module.ref, module.url));
                    });
  }

  Status fetch_commit(const GitMirror& mirror, const Module& module, const std::string& url,
                      Extent extent) {
    const std::string commit = commit_of(module.ref);
    auto heads =
        TRY(mirror.output({"for-each-ref", "--count=1", "--format=%(refname)", "refs/heads"},
                          "Failed to list branches"));
    // A mirror that has branches is one of whole histories, and stays that.
    if (!extent.history && heads.empty()) {
      auto alone = TRY(fetch_alone(mirror, module, url, extent));
      if (alone) return {};
    }
    CHECK(fetch_all(mirror, url));
    if (!is_id(commit)) return {};
    const bool has = TRY(mirror.has_commit(module.ref));
    if (has && (!mending_ || TRY(mirror.is_readable(commit)))) return {};
    // No branch or tag leads to the commit, but the server may have it.
    CHECK(mirror.fetch(url,
                       {.refspecs = {fmt::format("+{}:{}", commit, GitMirror::kept_name(commit))},
                        .again = mending_}));
    return {};
  }

  // Fetches a commit alone; false when this server gives none alone, or hasn't that one.
  Result<bool> fetch_alone(const GitMirror& mirror, const Module& module, const std::string& url,
                           Extent extent) {
    const std::string commit = commit_of(module.ref);
    if (const std::string tag = exact_tag(module.ref); !tag.empty()) {
      std::vector<GitMirror::Ref> refs;
      auto listed = TRY(mirror.list(url, refs));
      if (listed.status != 0) return not_fetched(listed, url);
      const std::string name = "refs/tags/" + tag;
      const bool offered = std::any_of(refs.begin(), refs.end(), [&](const GitMirror::Ref& ref) {
        return ref.id == commit && (ref.name == name || ref.name == name + "^{}");
      });
      if (offered) {
        auto ended = TRY(mirror.fetch(
            url, {.refspecs = {fmt::format("+{0}:{0}", name)}, .depth = 1, .again = mending_}));
        if (ended.status == 0) return true;
        if (ended.silent || is_refusal(ended)) return not_fetched(ended, url);
      }
    }
    if (extent.tag || !is_id(commit)) return false;
    auto ended = TRY(mirror.fetch(
        url, {.refspecs = {fmt::format("+{}:{}", commit, GitMirror::kept_name(commit))},
              .depth = 1,
              .again = mending_}));
    if (ended.silent || is_refusal(ended)) return not_fetched(ended, url);
    return ended.status == 0;
  }

  Status fetch_tree(const Module& module, const std::string& ref, bool whole, std::size_t depth) {
    if (depth > kMaxNesting)
      return source_error(source_, "bad-submodule",
                          fmt::format("{}Submodules are nested too deeply", where(source_)));
    if (ref.empty()) return {};
    CHECK(fetch_module(module, whole));
    auto below = TRY(submodules(module, true));
    for (const Module& submodule : below) {
      CHECK(fetch_tree(submodule, submodule.ref, whole, depth + 1));
    }
    return {};
  }

  bool ignored(const std::string& path) const {
    const model::Node* all = source_.config.find("submodules");
    const model::Node* own = all != nullptr ? all->find(path) : nullptr;
    const std::string checkout = own != nullptr ? own->get_string("checkout") : "";
    return !is_true(checkout.empty() ? source_.config.get_string("checkout-submodules", "true")
                                     : checkout);
  }

  // The submodules that a repository has at its ref. `configured`: without those that aren't
  // wanted, and with the URLs that the source gives them.
  Result<std::vector<Module>> submodules(const Module& module, bool configured) {
    std::vector<Module> found;
    const GitMirror mirror(git_, module.mirror);
    const std::string file = commit_of(module.ref) + ":.gitmodules";
    auto there = TRY(mirror.run({"rev-parse", "--quiet", "--verify", file}));
    if (there.status != 0) return found;
    auto listed = TRY(mirror.run(
        {"config", "--null", "--blob", file, "--get-regexp", R"(^submodule\..*\.(path|url)$)"}));
    // Status 1 says that it has none.
    if (listed.status > 1)
      return git_.failed(listed, fmt::format("Failed to show gitmodules at ref {}", module.ref));
    struct Entry {
      std::string name, path, url;
    };
    std::vector<Entry> entries;
    std::string_view rest = listed.output;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\0'), rest.size());
      const std::string_view item = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t newline = std::min(item.find('\n'), item.size());
      const std::string_view key = item.substr(0, newline);
      const std::string value(item.substr(std::min(newline + 1, item.size())));
      const std::string name(key.substr(10, key.rfind('.') - 10));
      auto entry = std::find_if(entries.begin(), entries.end(),
                                [&](const Entry& other) { return other.name == name; });
      if (entry == entries.end()) entry = entries.insert(entries.end(), {name, "", ""});
      (key.ends_with(".path") ? entry->path : entry->url) = value;
    }
    for (const Entry& entry : entries) {
      const std::string path =
          module.path.empty() ? entry.path : fmt::format("{}/{}", module.path, entry.path);
      if (!is_safe_path(entry.path) || entry.url.empty() || entry.url.starts_with('-')) {
        return source_error(
            source_, "bad-submodule",
            fmt::format("{}The submodule '{}' of {} has the path '{}' and the URL '{}', which "
                        "can't be used",
                        where(source_), entry.name, module.url, entry.path, entry.url));
      }
      if (configured && ignored(path)) continue;
      auto commit = TRY(submodule_commit(mirror, module, entry.path));
      if (commit.empty()) continue;
      Module below{.path = path,
                   .url = resolved(module.url, entry.url),
                   .urls = translated(entry.url),
                   .ref = commit,
                   .mirror = ""};
      below.mirror = mirror_of(below.url);
      const bool aliased = !below.urls.empty();
      for (const std::string& base : aliased ? std::vector<std::string>() : module.urls) {
        const std::string url = resolved(base, entry.url);
        if (std::find(below.urls.begin(), below.urls.end(), url) == below.urls.end())
          below.urls.push_back(url);
      }
      if (configured) {
        CHECK(override_url(below, aliased));
      }
      found.push_back(std::move(below));
    }
    return found;
  }

  // The URLs by the aliases of the project; none for a URL without an alias.
  std::vector<std::string> translated(const std::string& url) const {
    const std::size_t colon = url.find(':');
    if (colon == std::string::npos) return {};
    std::vector<std::string> urls;
    for (const model::SourceUrl& alias : source_.more_urls) {
      if (alias.original_url != url.substr(0, colon + 1)) continue;
      for (const std::string& prefix : alias.urls) urls.push_back(prefix + url.substr(colon + 1));
    }
    return urls;
  }

  // Gives a submodule the URL that the source has for it. A repository from elsewhere that names
  // one of this machine is not followed, unless the source says so.
  Status override_url(Module& module, bool aliased) {
    const model::Node* all = source_.config.find("submodules");
    const model::Node* own = all != nullptr ? all->find(module.path) : nullptr;
    const std::string url = own != nullptr ? own->get_string("url") : "";
    if (url.empty()) {
      const bool trusted = aliased || is_local_url(source_.url);
      if (!trusted && std::any_of(module.urls.begin(), module.urls.end(), is_local_url)) {
        return source_error(
            source_, "bad-submodule",
            fmt::format("{}The submodule '{}' has a URL of this machine: {}", where(source_),
                        module.path, module.url),
            "Give it a URL under `submodules` of the source if that is what is wanted.");
      }
      return {};
    }
    module.url = url;
    const auto marked =
        std::find_if(source_.more_urls.begin(), source_.more_urls.end(),
                     [&](const model::SourceUrl& more) { return more.original_url == url; });
    module.urls = marked != source_.more_urls.end() ? marked->urls : std::vector{url};
    return {};
  }

  // The commit of a submodule; "" for one that was never added to the repository, which is warned
  // of.
  Result<std::string> submodule_commit(const GitMirror& mirror, const Module& module,
                                       const std::string& path) {
    auto listed = TRY(mirror.output(
        {"--literal-pathspecs", "ls-tree", "--full-tree", "-z", commit_of(module.ref), "--", path},
        fmt::format("ls-tree failed for commit {} and submodule: {}", module.ref, path)));
    const std::size_t tab = listed.find('\t');
    if (listed.starts_with("160000 commit ") && tab != std::string::npos)
      return listed.substr(14, tab - 14);
    if (warned_.insert(fmt::format("{}\n{}", module.path, path)).second) {
      CHECK(warn(
          source_, surroundings_, source_.kind + ":inconsistent-submodule",
          fmt::format("Ignoring inconsistent submodule '{}'", path),
          fmt::format(
              "The submodule '{}' is defined either in the BuildStream source\n"
              "definition, or in a .gitmodules file. But the submodule was never added to the\n"
              "underlying git repository with `git submodule add`.",
              path)));
    }
    return std::string();
  }

  // Adds the submodules of a repository, and of those whose mirrors are there the ones below them.
  Status add_submodules(const Module& module, bool configured, std::size_t depth,
                        std::vector<Module>& out) {
    if (depth > kMaxNesting)
      return source_error(source_, "bad-submodule",
                          fmt::format("{}Submodules are nested too deeply", where(source_)));
    auto below = TRY(submodules(module, configured));
    for (Module& submodule : below) {
      out.push_back(submodule);
      auto has = TRY(GitMirror(git_, submodule.mirror).has_commit(submodule.ref));
      if (!has) continue;
      CHECK(add_submodules(submodule, configured, depth + 1, out));
    }
    return {};
  }

  // The repository and its submodules, checked and warned of.
  Result<std::vector<Module>> modules_to_stage() {
    CHECK(validate());
    std::vector<Module> modules = {main_};
    CHECK(add_submodules(main_, true, 0, modules));
    return modules;
  }

  Status validate() {
    std::vector<Module> all;
    CHECK(add_submodules(main_, false, 0, all));
    std::string invalid;
    std::string unlisted;
    const model::Node* listed = source_.config.find("submodules");
    const auto line = [](const std::string& url, const std::string& path) {
      return fmt::format("  Submodule URL '{}' at path '{}'\n", url, path);
    };
    if (listed != nullptr) {
      for (const auto& [path, submodule] : listed->map) {
        if (std::none_of(all.begin(), all.end(),
                         [&](const Module& module) { return module.path == path; })) {
          invalid += line(submodule.get_string("url", "None"), path);
        }
      }
    }
    for (const Module& module : all) {
      if (!ignored(module.path) && (listed == nullptr || listed->find(module.path) == nullptr))
        unlisted += line(module.url, module.path);
    }
    const auto without_end = [](std::string text) { return text.substr(0, text.size() - 1); };
    if (!invalid.empty()) {
      CHECK(warn(source_, surroundings_, source_.kind + ":invalid-submodule",
                 "Invalid submodules specified",
                 "The following submodules are specified in the source description but do "
                 "not exist according to the repository\n\n" +
                     without_end(invalid)));
    }
    if (!unlisted.empty()) {
      CHECK(warn(
          source_, surroundings_, source_.kind + ":unlisted-submodule", "Unlisted submodules exist",
          "The following submodules exist but are not specified in the source description\n\n" +
              without_end(unlisted)));
    }
    return validate_track();
  }

  Status validate_track() {
    if (track_.empty() || !exact_tag(main_.ref).empty()) return {};
    const GitMirror mirror(git_, main_.mirror);
    for (const char* what : {"branch", "tag"}) {
      if (track_.starts_with('-')) break;
      auto found = TRY(mirror.run({what, "--list", "--contains", commit_of(main_.ref), track_}));
      if (found.status == 0 && !found.output.empty()) return {};
    }
    return warn(
        source_, surroundings_, "ref-not-in-track",
        fmt::format(
            "expected ref '{}' was not found in given track '{}' for staged repository: '{}'\n",
            main_.ref, track_, main_.url),
        fmt::format("The ref provided for the element does not exist locally in the provided track "
                    "branch / tag '{0}'.\n"
                    "You may wish to track the element to update the ref from '{0}' with `bst "
                    "source track`,\n"
                    "or examine the upstream at '{1}' for the specific ref.",
                    track_, main_.url));
  }

  // The tags that `git describe` finds from a commit, in four ways.
  Result<std::vector<Tag>> reachable_tags(const GitMirror& mirror, const std::string& commit) {
    std::set<Tag> tags;
    static const std::vector<std::vector<std::string>> kWays = {
        {}, {"--first-parent"}, {"--tags"}, {"--tags", "--first-parent"}};
    for (const std::vector<std::string>& way : kWays) {
      std::vector<std::string> arguments = {"describe", "--abbrev=0"};
      arguments.insert(arguments.end(), way.begin(), way.end());
      arguments.push_back(commit);
      auto described = TRY(mirror.run(arguments));
      if (described.status != 0) continue;
      Tag tag;
      tag.name = described.output.substr(0, described.output.find('\n'));
      auto tagged =
          TRY(mirror.output({"rev-parse", "--verify", "--end-of-options", tag.name + "^{commit}"},
                            fmt::format("Unable to resolve tag '{}'", tag.name)));
      // rev-parse gives --end-of-options back.
      tag.commit = tagged.substr(tagged.rfind('\n') + 1);
      auto type = TRY(mirror.run({"cat-file", "-t", "refs/tags/" + tag.name}));
      tag.annotated = type.status == 0 && type.output == "tag\n";
      tags.insert(std::move(tag));
    }
    return std::vector<Tag>(tags.begin(), tags.end());
  }

  // The ref that was found: the source's own, as it is written, where that says the same.
  Found found_of(std::string ref, std::vector<Tag> tags) const {
    Found found;
    std::string shown;
    model::Node list = model::Node::make_list();
    for (const Tag& tag : tags) {
      shown += fmt::format("{}('{}', '{}', {})", shown.empty() ? "" : ", ", tag.name, tag.commit,
                           tag.annotated ? "True" : "False");
      list.list.push_back(model::Node::make_map(
          {{"tag", model::Node::make_scalar(tag.name)},
           {"commit", model::Node::make_scalar(tag.commit)},
           {"annotated", model::Node::make_scalar(tag.annotated ? "True" : "False")}}));
    }
    found.shown = fmt::format("('{}', [{}])", ref, shown);
    std::vector<Tag> before = tags_;
    std::sort(before.begin(), before.end());
    if (ref == main_.ref && before == tags) {
      found.ref = source_.ref;
      return found;
    }
    found.ref = model::Node::make_map({{"ref", model::Node::make_scalar(std::move(ref))}});
    if (!list.list.empty()) found.ref.set("tags", std::move(list));
    return found;
  }

  // Makes a .git in which `git describe` finds what it found upstream: the commits between the tags
  // and the ref, without their files.
  Status rebuild_git(const std::string& directory) {
    const GitMirror mirror(git_, main_.mirror);
    auto head =
        TRY(mirror.output({"rev-parse", "--verify", "--quiet", commit_of(main_.ref) + "^{commit}"},
                          fmt::format("Failed to parse commit {}", main_.ref)));
    std::set<std::string> included;
    std::set<std::string> shallow;
    for (const Tag& tag : tags_) {
      if (!is_id(tag.commit))
        return source_error(source_, "bad-ref",
                            fmt::format("{}'{}' is no commit", where(source_), tag.commit));
      if (tag.commit == head) {
        shallow.insert(head);
        continue;
      }
      auto listed = TRY(mirror.output(
          {"rev-list", "--ancestry-path", "--boundary", fmt::format("{}..{}", tag.commit, head)},
          fmt::format("Failed to get git history {}..{} in directory: {}", tag.commit, main_.ref,
                      directory)));
      for (std::size_t at = 0; at < listed.size();) {
        const std::size_t end = std::min(listed.find('\n', at), listed.size());
        const std::string_view line = std::string_view(listed).substr(at, end - at);
        at = end + 1;
        if (line.starts_with('-')) {
          shallow.emplace(line.substr(1));
        } else if (!line.empty()) {
          included.emplace(line);
        }
      }
    }
    std::erase_if(shallow, [&](const std::string& commit) { return included.contains(commit); });
    included.insert(shallow.begin(), shallow.end());
    const auto in_tree = [&](std::vector<std::string> arguments, std::string_view failure,
                             std::string_view input = {}) {
      return git_.output({.arguments = std::move(arguments),
                          .directory = directory,
                          .git_dir = directory + "/.git",
                          .input = input},
                         failure);
    };
    CHECK(git_.output({.arguments = {"init", "--quiet", "."}, .directory = directory},
                      fmt::format("Cannot initialize git repository: {}", directory)));
    std::string list;
    for (const std::string& commit : included) list += commit + "\n";
    auto pack = TRY(mirror.run({"pack-objects", "--quiet", "--stdout"}, list));
    if (pack.status != 0) return git_.failed(pack, fmt::format("Failed to get commit {}", head));
    CHECK(in_tree({"unpack-objects", "-q"}, fmt::format("Failed to add commit object {}", head),
                  pack.output));
    std::string boundary;
    for (const std::string& commit : shallow) boundary += commit + "\n";
    CHECK(write_file_atomic(directory + "/.git/shallow", boundary, 0644));
    std::string refs;
    for (const Tag& tag : tags_) {
      std::string object = tag.commit;
      if (tag.annotated) {
        std::string text = fmt::format("object {}\ntype commit\ntag {}\n", tag.commit, tag.name);
        // Tags had no tagger before buildstream-plugins 2.3.
        if (source_.works_as.empty())
          text += "tagger Unspecified Tagger <unspecified-tagger> 0 +0000\n";
        object = TRY(in_tree({"hash-object", "-w", "-t", "tag", "--stdin"},
                             fmt::format("Failed to add tag object {}", tag.name), text));
      }
      refs += fmt::format("create refs/tags/{}", tag.name) + '\0' + object + '\0';
    }
    CHECK(in_tree({"update-ref", "--stdin", "-z"}, "Failed to add tags", refs));
    return write_file_atomic(directory + "/.git/HEAD", head + "\n", 0644);
  }

  const model::Source& source_;
  Surroundings& surroundings_;
  GitProgram git_;
  Module main_;
  std::vector<Tag> tags_;
  std::string track_;
  std::set<std::string> warned_;
  bool mending_ = false;  // what is there is read before it is believed, and all fetched otherwise
  bool mended_ = false;
};

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  return Repository(source, surroundings).track();
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return Repository(source, surroundings).cached();
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return Repository(source, surroundings).fetch(false);
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const std::string directory = TRY(surroundings.directory("git"));
  Repository repository(source, surroundings);
  CHECK(with_mended_mirror(
      directory, [&] { return repository.stage(directory); },
      [&] { return repository.mend(false); }));
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings.cas(), directory, options);
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  Repository repository(source, surroundings);
  return with_mended_mirror(
      directory, [&] { return repository.init_workspace(directory); },
      [&] { return repository.mend(true); });
}

}  // namespace sluice::sources::git
