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
#include "sources/git_modules.h"
#include "sources/works.h"
#include "store/directory.h"

namespace sluice::sources::git {

namespace {

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

class Repository {
 public:
  Repository(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings), git_(source, surroundings),
        modules_(git_, {.inconsistent = source.kind + ":inconsistent-submodule"}),
        main_(modules_.own(source.ref.get_string("ref"))), tags_(tags_of(source.ref)),
        track_(source.config.get_string("track")) {}

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
    std::vector<GitModule> modules = {main_};
    auto has = GitMirror(git_, main_.mirror).has_commit(main_.ref);
    if (!has || !*has) return has;
    CHECK(add_submodules(main_, true, 0, modules));
    for (const GitModule& module : modules) {
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
    for (const GitModule& module : modules) {
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
    for (const GitModule& module : modules) {
      const std::string place =
          module.path.empty() ? directory : fmt::format("{}/{}", directory, module.path);
      CHECK(clone_of_mirror(git_, module, place,
                            module.path.empty() ? source_.url : origin_of(module)));
    }
    step.success();
    return {};
  }

 private:
  Status fetch_all(const GitMirror& mirror, const std::string& url) {
    auto ended = TRY(fetch_all_of_git(mirror, url, mending_));
    if (ended.status != 0) return git_not_fetched(git_, ended, url);
    return {};
  }

  // Whether the repository's history is looked at, by the plugin or in what is staged.
  bool needs_history(const GitModule& module) const {
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

  Result<bool> is_there(const GitMirror& mirror, const GitModule& module, Extent extent) {
    auto has = mirror.has_commit(module.ref);
    if (!has || !*has || !path_exists(mirror.path() + "/shallow")) return has;
    if (extent.history) return false;
    return extent.tag ? mirror.has_commit("refs/tags/" + exact_tag(module.ref)) : has;
  }

  Status fetch_module(const GitModule& module, bool whole) {
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

  Status fetch_commit(const GitMirror& mirror, const GitModule& module, const std::string& url,
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
  Result<bool> fetch_alone(const GitMirror& mirror, const GitModule& module, const std::string& url,
                           Extent extent) {
    const std::string commit = commit_of(module.ref);
    if (const std::string tag = exact_tag(module.ref); !tag.empty()) {
      const std::string name = "refs/tags/" + tag;
      if (TRY(git_offers_tag(mirror, git_, url, tag, commit))) {
        auto ended = TRY(mirror.fetch(
            url, {.refspecs = {fmt::format("+{0}:{0}", name)}, .depth = 1, .again = mending_}));
        if (ended.status == 0) return true;
        if (ended.silent || is_refusal(ended)) return git_not_fetched(git_, ended, url);
      }
    }
    if (extent.tag || !is_id(commit)) return false;
    auto ended = TRY(mirror.fetch(
        url, {.refspecs = {fmt::format("+{}:{}", commit, GitMirror::kept_name(commit))},
              .depth = 1,
              .again = mending_}));
    if (ended.silent || is_refusal(ended)) return git_not_fetched(git_, ended, url);
    return ended.status == 0;
  }

  Status fetch_tree(const GitModule& module, const std::string& ref, bool whole,
                    std::size_t depth) {
    if (depth > kMaxNesting)
      return source_error(source_, "bad-submodule",
                          fmt::format("{}Submodules are nested too deeply", where(source_)));
    if (ref.empty()) return {};
    CHECK(fetch_module(module, whole));
    auto below = TRY(modules_.below(module, true));
    for (const GitModule& submodule : below) {
      CHECK(fetch_tree(submodule, submodule.ref, whole, depth + 1));
    }
    return {};
  }

  // Adds the submodules of a repository, and of those whose mirrors are there the ones below them.
  Status add_submodules(const GitModule& module, bool configured, std::size_t depth,
                        std::vector<GitModule>& out) {
    if (depth > kMaxNesting)
      return source_error(source_, "bad-submodule",
                          fmt::format("{}Submodules are nested too deeply", where(source_)));
    auto below = TRY(modules_.below(module, configured));
    for (GitModule& submodule : below) {
      out.push_back(submodule);
      auto has = TRY(GitMirror(git_, submodule.mirror).has_commit(submodule.ref));
      if (!has) continue;
      CHECK(add_submodules(submodule, configured, depth + 1, out));
    }
    return {};
  }

  // The repository and its submodules, checked and warned of.
  Result<std::vector<GitModule>> modules_to_stage() {
    CHECK(validate());
    std::vector<GitModule> modules = {main_};
    CHECK(add_submodules(main_, true, 0, modules));
    return modules;
  }

  Status validate() {
    std::vector<GitModule> all;
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
                         [&](const GitModule& module) { return module.path == path; })) {
          invalid += line(submodule.get_string("url", "None"), path);
        }
      }
    }
    for (const GitModule& module : all) {
      if (!modules_.is_ignored(module.path) &&
          (listed == nullptr || listed->find(module.path) == nullptr))
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
  GitModules modules_;
  GitModule main_;
  std::vector<Tag> tags_;
  std::string track_;
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
