#include "sources/git_modules.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/mirror_url.h"
#include "store/downloads.h"

namespace sluice::sources {

namespace {

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

}  // namespace

std::string origin_of(const GitModule& module) {
  const auto last =
      std::find_if(module.urls.rbegin(), module.urls.rend(),
                   [](const std::string& url) { return !parse_mirror_url(url).has_value(); });
  return last == module.urls.rend() ? module.url : *last;
}

std::string commit_of(const std::string& ref) {
  const std::size_t at = ref.rfind("-g");
  return at == std::string::npos ? ref : ref.substr(at + 2);
}

std::string exact_tag(const std::string& ref) {
  const std::size_t at = ref.rfind("-0-g");
  return at == std::string::npos ? "" : ref.substr(0, at);
}

bool is_id(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

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

GitModule GitModules::own(const std::string& ref) const {
  GitModule module;
  module.url = source().original_url;
  module.urls = source().urls.empty() ? std::vector{source().url} : source().urls;
  module.ref = ref;
  module.mirror = mirror_of(module.url);
  return module;
}

std::string GitModules::mirror_of(const std::string& url) const {
  return store::mirror_directory(git_.surroundings().settings(), source().kind, url);
}

bool GitModules::is_ignored(const std::string& path) const {
  const model::Node* all = source().config.find("submodules");
  const model::Node* own = all != nullptr ? all->find(path) : nullptr;
  const std::string checkout = own != nullptr ? own->get_string("checkout") : "";
  return !is_true(checkout.empty() ? source().config.get_string("checkout-submodules", "true")
                                   : checkout);
}

Result<std::vector<GitModule>> GitModules::below(const GitModule& module, bool configured) {
  std::vector<GitModule> found;
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
          source(), "bad-submodule",
          fmt::format("{}The submodule '{}' of {} has the path '{}' and the URL '{}', which "
                      "can't be used",
                      where(source()), entry.name, module.url, entry.path, entry.url));
    }
    if (configured && is_ignored(path)) continue;
    auto commit = TRY(commit_at(mirror, module, entry.path));
    if (commit.empty()) continue;
    GitModule below{.path = path,
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
std::vector<std::string> GitModules::translated(const std::string& url) const {
  const std::size_t colon = url.find(':');
  if (colon == std::string::npos) return {};
  std::vector<std::string> urls;
  for (const model::SourceUrl& alias : source().more_urls) {
    if (alias.original_url != url.substr(0, colon + 1)) continue;
    for (const std::string& prefix : alias.urls) urls.push_back(prefix + url.substr(colon + 1));
  }
  return urls;
}

// Gives a submodule the URL that the source has for it. A repository from elsewhere that names
// one of this machine is not followed, unless the source says so.
Status GitModules::override_url(GitModule& module, bool aliased) const {
  const model::Node* all = source().config.find("submodules");
  const model::Node* own = all != nullptr ? all->find(module.path) : nullptr;
  const std::string url = own != nullptr ? own->get_string("url") : "";
  if (url.empty()) {
    const bool trusted = aliased || is_local_url(source().url);
    if (!trusted && std::any_of(module.urls.begin(), module.urls.end(), is_local_url)) {
      return source_error(
          source(), "bad-submodule",
          fmt::format("{}The submodule '{}' has a URL of this machine: {}", where(source()),
                      module.path, module.url),
          "Give it a URL under `submodules` of the source if that is what is wanted.");
    }
    return {};
  }
  module.url = url;
  if (ways_.mirrors_by_source) module.mirror = mirror_of(url);
  const auto marked =
      std::find_if(source().more_urls.begin(), source().more_urls.end(),
                   [&](const model::SourceUrl& more) { return more.original_url == url; });
  module.urls = marked != source().more_urls.end() ? marked->urls : std::vector{url};
  return {};
}

// The commit of a submodule; "" for one that was never added to the repository, which is warned
// of.
Result<std::string> GitModules::commit_at(const GitMirror& mirror, const GitModule& module,
                                          const std::string& path) {
  auto listed = TRY(mirror.output(
      {"--literal-pathspecs", "ls-tree", "--full-tree", "-z", commit_of(module.ref), "--", path},
      fmt::format("ls-tree failed for commit {} and submodule: {}", module.ref, path)));
  const std::size_t tab = listed.find('\t');
  if (listed.starts_with("160000 commit ") && tab != std::string::npos)
    return listed.substr(14, tab - 14);
  if (!warned_.insert(fmt::format("{}\n{}", module.path, path)).second) return std::string();
  const std::string text = fmt::format("Ignoring inconsistent submodule '{}'", path);
  const std::string detail = fmt::format(
      "The submodule '{}' is defined either in the BuildStream source\n"
      "definition, or in a .gitmodules file. But the submodule was never added to the\n"
      "underlying git repository with `git submodule add`.",
      path);
  if (!ways_.inconsistent.empty()) {
    CHECK(warn(source(), git_.surroundings(), ways_.inconsistent, text, detail));
  } else {
    git_.surroundings().message(Weight::kWarning, where(source()) + text, detail);
  }
  return std::string();
}

tl::unexpected<Error> git_not_fetched(const GitProgram& git, const ToolRun& run,
                                      const std::string& url, std::string_view failure) {
  auto error = git.failed(run, fmt::format("{} {}", failure, url));
  if (!is_refusal(run)) error.value().reason = kFetchFailed;
  return error;
}

Result<ToolRun> fetch_all_of_git(const GitMirror& mirror, const std::string& url, bool again,
                                 const std::vector<std::string>& more) {
  GitMirror::Fetch what{.refspecs = GitMirror::branches_and_tags(), .prune = true, .again = again};
  what.refspecs.insert(what.refspecs.end(), more.begin(), more.end());
  return mirror.fetch(url, what);
}

Result<bool> git_offers_tag(const GitMirror& mirror, const GitProgram& git, const std::string& url,
                            const std::string& tag, const std::string& commit) {
  std::vector<GitMirror::Ref> refs;
  auto listed = TRY(mirror.list(url, refs));
  if (listed.status != 0) return git_not_fetched(git, listed, url);
  const std::string name = "refs/tags/" + tag;
  return std::any_of(refs.begin(), refs.end(), [&](const GitMirror::Ref& ref) {
    return ref.id == commit && (ref.name == name || ref.name == name + "^{}");
  });
}

Status clone_of_mirror(GitProgram& git, const GitModule& module, const std::string& place,
                       const std::string& origin) {
  const std::string commit = commit_of(module.ref);
  // A clone has the mirror's files as they are: history that is missing would be missing there.
  CHECK(GitMirror(git, module.mirror)
            .output({"rev-list", "--count", commit, "--"},
                    fmt::format("Failed to get the history of {}", module.ref)));
  const GitCall clone{
      .arguments = {"clone", "--quiet", "--no-checkout", "--", module.mirror, place},
      .directory = "/"};
  CHECK(git.output(
      clone, fmt::format("Failed to clone git mirror {} in directory: {}", module.mirror, place)));
  const GitCall set_url{.arguments = {"remote", "set-url", "origin", "--", origin},
                        .directory = place};
  CHECK(git.output(set_url, fmt::format("Failed to add remote origin \"{}\"", origin)));
  // A commit that no branch or tag leads to wasn't cloned.
  if (is_id(commit)) {
    auto there =
        TRY(git.run({.arguments = {"cat-file", "-e", commit + "^{commit}"}, .directory = place}));
    const GitCall more{
        .arguments = {"fetch", "--quiet", "--", module.mirror, GitMirror::kept_name(commit)},
        .directory = place};
    if (there.status != 0) {
      CHECK(git.output(more, fmt::format("Failed to checkout git ref {}", module.ref)));
      std::error_code ignored;
      std::filesystem::remove(place + "/.git/FETCH_HEAD", ignored);
    }
  }
  const GitCall checkout{.arguments = {"checkout", "--quiet", "--force", commit},
                         .directory = place};
  CHECK(git.output(checkout, fmt::format("Failed to checkout git ref {}", module.ref)));
  return {};
}

}  // namespace sluice::sources
