#include "sources/git_clones.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"
#include "store/directory.h"
#include "store/downloads.h"

namespace sluice::sources {

namespace fs = std::filesystem;

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '"' || c == '\\' ? std::string("\\") + c : c == '\n' ? "\\n" : std::string(1, c);
  return out;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

Status make_dot_git(const std::string& git, std::string_view more) {
  for (const char* name :
       {"branches", "hooks", "info", "objects/info", "objects/pack", "refs/heads", "refs/tags"}) {
    CHECK(make_directories(fmt::format("{}/{}", git, name)));
  }
  const std::string config = fmt::format(
      "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
      "\tlogallrefupdates = true\n{}",
      more);
  CHECK(write_file_atomic(git + "/config", config, 0644));
  CHECK(write_file_atomic(git + "/description", "Unnamed repository", 0644));
  return write_file_atomic(git + "/info/exclude", "", 0644);
}

std::string origin_config(std::string_view url, std::string_view fetch) {
  std::string config = fmt::format("[remote \"origin\"]\n\turl = \"{}\"\n", escaped(url));
  if (!fetch.empty()) config += fmt::format("\tfetch = {}\n", fetch);
  return config;
}

GitClones::GitClones(const model::Source& source, Surroundings& surroundings, std::string path,
                     bool submodules)
    : source_(source), surroundings_(surroundings), git_(source, surroundings),
      modules_(git_, {.inconsistent = "", .mirrors_by_source = true}),
      main_(modules_.own(source.ref_text())), path_(std::move(path)), with_submodules_(submodules),
      full_clone_(is_true(source.config.get_string("full-clone"))) {}

Status GitClones::update(std::string_view activity, const std::vector<std::string>& more,
                         const std::function<Status(const GitMirror& mirror)>& look) {
  return try_urls(git_, source_.url, source_.track_urls, activity,
                  [&](const std::string& url) -> Status {
                    GitMirror mirror(git_, main_.mirror);
                    const bool fresh = !mirror.exists();
                    const UniqueFd lock = TRY(mirror.open());
                    CHECK(update_mirror(mirror, url, fresh, more));
                    return look(mirror);
                  });
}

Result<bool> GitClones::cached() {
  if (TRY(holder(main_, needs_history(main_))).empty()) return false;
  auto below = TRY(submodules());
  for (const GitModule& module : below) {
    if (TRY(holder(module, needs_history(module))).empty()) return false;
  }
  return true;
}

Status GitClones::fetch(bool whole) {
  if (main_.ref.starts_with('-'))
    return source_error(source_, "bad-ref",
                        fmt::format("{}'{}' is no ref", where(source_), main_.ref));
  CHECK(fetch_module(main_, whole));
  auto below = TRY(submodules());
  for (const GitModule& module : below) {
    CHECK(fetch_module(module, whole));
  }
  return {};
}

// Whether a mirror lacked what it was believed to have, and has it now: nothing is to be looked at
// so closely before it turned out not to be there.
Result<bool> GitClones::mend(bool whole) {
  mending_ = true;
  mended_ = false;
  CHECK(fetch(whole));
  mending_ = false;
  return mended_;
}

Result<model::Digest> GitClones::stage() {
  const std::string directory = TRY(surroundings_.directory(source_.kind));
  CHECK(with_mended_mirror(
      directory, [&] { return write(directory); }, [&] { return mend(false); }));
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings_.cas(), directory, options);
}

Status GitClones::init_workspace(const std::string& directory) {
  CHECK(fetch(true));
  return with_mended_mirror(
      directory, [&] { return clone_all(directory); }, [&] { return mend(true); });
}

std::string GitClones::mirror_of_ref(const GitModule& module) const {
  return modules_.mirror_of(fmt::format("{}#{}", module.url, module.ref));
}

bool GitClones::needs_history(const GitModule& module) const {
  return full_clone_ || exact_tag(module.ref).empty();
}

// The mirror that has a module's commit; "" when there is none.
Result<std::string> GitClones::holder(const GitModule& module, bool history) {
  if (module.ref.empty()) return std::string();
  const std::string commit = commit_of(module.ref);
  if (TRY(GitMirror(git_, module.mirror).has_commit(commit))) return module.mirror;
  const std::string own = mirror_of_ref(module);
  if (!history && TRY(GitMirror(git_, own).has_commit(commit))) return own;
  return std::string();
}

// The submodules of the source's own repository, if they are wanted: what is below them isn't
// looked at.
Result<std::vector<GitModule>> GitClones::submodules() {
  std::vector<GitModule> below;
  if (!with_submodules_) return below;
  GitModule main = main_;
  main.mirror = TRY(holder(main_, needs_history(main_)));
  if (main.mirror.empty()) return below;
  return modules_.below(main, true);
}

// Says in a new mirror where it comes from, as BuildStream needs it to fetch more into it, and
// which branch is the repository's own.
Status GitClones::adopt(const GitMirror& mirror, const std::string& url) {
  auto known = TRY(mirror.run({"config", "--get", "remote.origin.url"}));
  if (known.status == 0) return {};
  const std::string failure = "Failed to init git repository";
  CHECK(mirror.output({"config", "remote.origin.url", without_credentials(url)}, failure));
  CHECK(mirror.output({"config", "remote.origin.fetch", "+refs/*:refs/*"}, failure));
  CHECK(mirror.output({"config", "remote.origin.mirror", "true"}, failure));
  std::vector<GitMirror::Ref> refs;
  std::string head;
  auto listed = TRY(mirror.list(url, refs, &head));
  if (listed.status == 0 && head.starts_with("refs/heads/")) {
    CHECK(mirror.output({"symbolic-ref", "HEAD", head}, failure));
  }
  return {};
}

// Fetches everything, under the lock. `fresh`: the mirror was made for that, and goes if there is
// nothing to be had.
Status GitClones::update_mirror(const GitMirror& mirror, const std::string& url, bool fresh,
                                const std::vector<std::string>& more) {
  CHECK(adopt(mirror, url));
  auto ended = TRY(fetch_all_of_git(mirror, url, mending_ && !fresh, more));
  if (ended.status == 0) return {};
  if (!fresh) return git_not_fetched(git_, ended, url);
  CHECK(remove_tree(mirror.path()));
  return git_not_fetched(git_, ended, url, "Failed to clone git repository");
}

Status GitClones::fetch_module(const GitModule& module, bool whole) {
  const std::string commit = commit_of(module.ref);
  const bool history = whole || needs_history(module);
  // Who works in it gets a clone of the mirror that has everything.
  const auto held = [&]() -> Result<std::string> {
    std::string mirror = TRY(holder(module, history));
    if (whole && mirror != module.mirror) mirror.clear();
    if (!mirror.empty() && mending_ && !TRY(GitMirror(git_, mirror).is_readable(commit)))
      mirror.clear();
    return mirror;
  };
  std::string mirror = TRY(held());
  if (mirror.empty()) {
    CHECK(try_urls(git_, module.url, module.urls, "Fetching from",
                   [&](const std::string& url) -> Status {
                     const bool tag = !history && !GitMirror(git_, module.mirror).exists();
                     if (!tag || !TRY(fetch_tag(module, url))) {
                       CHECK(fetch_all(module, url));
                     }
                     mirror = TRY(held());
                     if (!mirror.empty()) return {};
                     return source_error(
                         source_, "ref-not-found",
                         fmt::format("{}expected ref '{}' was not found in git repository: '{}'",
                                     where(source_), module.ref, module.url));
                   }));
  }
  return look_for_lfs(module, mirror);
}

// Fetches the commit of a ref that is exactly a tag, alone; false when the server hasn't that tag,
// or doesn't give it alone.
Result<bool> GitClones::fetch_tag(const GitModule& module, const std::string& url) {
  const std::string commit = commit_of(module.ref);
  const std::string tag = exact_tag(module.ref);
  GitMirror mirror(git_, mirror_of_ref(module));
  if (!TRY(git_offers_tag(mirror, git_, url, tag, commit))) {
    surroundings_.message(Weight::kStatus,
                          fmt::format("{}{} is not advertised on {}, so a full clone is required",
                                      where(source_), module.ref, without_credentials(url)));
    return false;
  }
  const bool fresh = !mirror.exists();
  const UniqueFd lock = TRY(mirror.open());
  if (!mending_ && TRY(mirror.has_commit(commit))) return true;
  if (mending_ && !fresh) mirror.warn_damaged();
  CHECK(adopt(mirror, url));
  auto ended =
      TRY(mirror.fetch(url, {.refspecs = {fmt::format("+refs/tags/{0}:refs/tags/{0}", tag)},
                             .depth = 1,
                             .again = mending_ && !fresh}));
  if (ended.status == 0) {
    mended_ = true;
    // A branch that is there can be cloned.
    CHECK(mirror.output({"update-ref", "HEAD", commit + "^{commit}"}, "Failed to tag HEAD"));
    return true;
  }
  // A mirror without its ref would be taken for one that has it.
  if (fresh) {
    CHECK(remove_tree(mirror.path()));
  }
  if (ended.silent || is_refusal(ended)) return git_not_fetched(git_, ended, url);
  surroundings_.message(Weight::kStatus,
                        fmt::format("{}Failed to shallow clone from {}. Trying full clone.",
                                    where(source_), without_credentials(url)));
  return false;
}

Status GitClones::fetch_all(const GitModule& module, const std::string& url) {
  const std::string commit = commit_of(module.ref);
  GitMirror mirror(git_, module.mirror);
  const bool fresh = !mirror.exists();
  const UniqueFd lock = TRY(mirror.open());
  const auto has = [&]() -> Result<bool> {
    if (!TRY(mirror.has_commit(commit))) return false;
    return mending_ ? mirror.is_readable(commit) : true;
  };
  // Somebody else may have fetched it meanwhile.
  if (TRY(has())) return {};
  if (mending_ && !fresh) mirror.warn_damaged();
  mended_ = true;
  CHECK(update_mirror(mirror, url, fresh, {}));
  if (!is_id(commit) || TRY(has())) return {};
  // No branch or tag leads to the commit, but the server may have it.
  auto ended = TRY(
      mirror.fetch(url, {.refspecs = {fmt::format("+{}:{}", commit, GitMirror::kept_name(commit))},
                         .again = mending_}));
  if (ended.silent) return git_not_fetched(git_, ended, url);
  return {};
}

// Says that a repository has files of Git LFS, of which it only has the names.
Status GitClones::look_for_lfs(const GitModule& module, const std::string& mirror) {
  auto shown =
      TRY(GitMirror(git_, mirror).run({"show", commit_of(module.ref) + ":.gitattributes"}));
  if (shown.status != 0) return {};
  static constexpr std::string_view kWords[] = {"filter=lfs", "diff=lfs", "merge=lfs"};
  const bool used = std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view word) {
    return shown.output.find(word) != std::string::npos;
  });
  if (!used) return {};
  if (source_.config.find("use-lfs") == nullptr)
    return warn(source_, surroundings_, source_.kind + ":unused-lfs",
                "Git LFS not configured but LFS objects exist",
                "a filter, diff or merge is set to use lfs in .gitattributes");
  if (!is_true(source_.config.get_string("use-lfs"))) return {};
  return source_error(
      source_, "unsupported-lfs",
      fmt::format("{}'use-lfs': files of Git LFS can't be fetched", where(source_)),
      "Without it the files are staged as the repository has them, which is by their names.");
}

// Where a module is written to. No symbolic link of what lies there already leads elsewhere.
Result<std::string> GitClones::place_of(const std::string& directory,
                                        const GitModule& module) const {
  std::string place = directory;
  const fs::path path = fs::path(path_) / module.path;
  for (const fs::path& name : path) {
    if (name.empty()) continue;
    place += "/" + name.string();
    std::error_code error;
    if (fs::is_symlink(place, error))
      return source_error(
          source_, "bad-submodule",
          fmt::format("{}'{}' goes through a symbolic link", where(source_), path.string()));
  }
  CHECK(make_directories(place));
  return place;
}

Status GitClones::write(const std::string& directory) {
  Step step(surroundings_, fmt::format("Staging {}", main_.url));
  CHECK(write_module(main_, TRY(place_of(directory, main_))));
  auto below = TRY(submodules());
  for (const GitModule& module : below) {
    CHECK(write_module(module, TRY(place_of(directory, module))));
  }
  step.success();
  return {};
}

Status GitClones::write_module(const GitModule& module, const std::string& place) {
  const std::string cannot = fmt::format("Failed to checkout git ref {}", module.ref);
  const bool history = needs_history(module);
  const std::string held = TRY(holder(module, history));
  if (held.empty()) return fail("plugin", "", cannot, source_.provenance);
  GitMirror mirror(git_, held);
  const std::string id = first_line(TRY(mirror.output(
      {"rev-parse", "--verify", "--quiet", commit_of(module.ref) + "^{commit}"}, cannot)));
  const std::string git = place + "/.git";
  const std::string url =
      module.path.empty() || module.urls.empty() ? source_.url : origin_of(module);
  CHECK(make_dot_git(
      git, origin_config(without_credentials(url), "+refs/heads/*:refs/remotes/origin/*")));
  CHECK(add_objects(mirror, module, id, git));
  CHECK(write_file_atomic(git + "/HEAD", id + "\n", 0644));
  const auto here = [&](std::vector<std::string> arguments) {
    return git_.output(
        {.arguments = std::move(arguments), .directory = place, .git_dir = git, .work_tree = place},
        cannot);
  };
  CHECK(here({"read-tree", "-u", "--reset", id}));
  // The times of files in .git are fixed, so that the same tree comes of the same commit.
  std::error_code error;
  fs::remove(git + "/index", error);
  CHECK(here({"read-tree", id}));
  return {};
}

// Puts the commit into .git: with its history and the tags in it, or alone with the tag of the ref.
Status GitClones::add_objects(const GitMirror& mirror, const GitModule& module,
                              const std::string& id, const std::string& git) {
  const std::string failure = fmt::format("Failed to get the history of {}", module.ref);
  const auto tags = [&](std::string which, std::string pattern) {
    return mirror.output(
        {"for-each-ref", "--format=%(objectname) %(refname)", std::move(which), std::move(pattern)},
        "Failed to list tags");
  };
  std::string refs;
  bool history = needs_history(module);
  if (!history) {
    refs = TRY(tags("--points-at=" + id, "refs/tags/" + exact_tag(module.ref)));
    // Of a tag that the repository hasn't got everything was fetched.
    history = refs.empty();
  }
  if (history) refs = TRY(tags("--merged=" + id, "refs/tags"));
  std::string wanted = id + "\n";
  for (std::size_t at = 0; at < refs.size(); at = std::min(refs.find('\n', at), refs.size()) + 1)
    wanted += refs.substr(at, 40) + "\n";
  if (!refs.empty()) {
    CHECK(write_file_atomic(git + "/packed-refs", refs + "\n", 0644));
  }
  std::vector<std::string> packing = {"pack-objects", "--quiet"};
  std::string shallow;
  if (history) {
    packing.emplace_back("--revs");
    // A repository may have no more of its history itself.
    if (path_exists(mirror.path() + "/shallow"))
      shallow = TRY(read_file(mirror.path() + "/shallow"));
  } else {
    // Objects that are packed anew are the same wherever they came from.
    packing.insert(packing.end(), {"--window=0", "--no-reuse-delta", "--no-reuse-object"});
    auto objects = TRY(
        mirror.output({"rev-list", "--objects", "--no-walk=unsorted", "--stdin"}, failure, wanted));
    wanted.clear();
    for (std::size_t at = 0; at < objects.size();
         at = std::min(objects.find('\n', at), objects.size()) + 1)
      wanted += objects.substr(at, 40) + "\n";
    shallow = id + "\n";
  }
  packing.push_back(git + "/objects/pack/pack");
  CHECK(git_.output({.arguments = std::move(packing),
                     .directory = mirror.path(),
                     .git_dir = mirror.path(),
                     .input = wanted,
                     .config = {{"pack.writeReverseIndex", "false"}}},
                    failure));
  if (shallow.empty()) return {};
  return write_file_atomic(git + "/shallow", shallow, 0644);
}

Status GitClones::clone_all(const std::string& directory) {
  Step step(surroundings_, fmt::format("Setting up workspace \"{}\"", directory));
  CHECK(clone_of_mirror(git_, main_, TRY(place_of(directory, main_)), source_.url));
  auto below = TRY(submodules());
  for (const GitModule& module : below) {
    CHECK(clone_of_mirror(git_, module, TRY(place_of(directory, module)), origin_of(module)));
  }
  step.success();
  return {};
}

}  // namespace sluice::sources
