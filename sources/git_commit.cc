#include "sources/git_commit.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fnmatch.h>

#include "base/file.h"
#include "base/try.h"
#include "sources/git_checkout.h"
#include "sources/git_clones.h"
#include "store/downloads.h"

namespace sluice::sources {

namespace fs = std::filesystem;

namespace {

// The parts of a ref, "TAG-DISTANCE-gCOMMIT" or "COMMIT".
struct Ref {
  std::string tag;
  unsigned distance = 0;
  std::string commit;
};

Ref parse(const std::string& text) {
  Ref ref;
  for (std::size_t at = text.rfind("-g"); at != std::string::npos && at > 0;
       at = text.rfind("-g", at - 1)) {
    std::size_t digits = at;
    while (digits > 0 && text[digits - 1] >= '0' && text[digits - 1] <= '9') --digits;
    if (digits == at || digits == 0 || text[digits - 1] != '-' || at - digits > 8) continue;
    ref.tag = text.substr(0, digits - 1);
    ref.distance = static_cast<unsigned>(std::stoul(text.substr(digits, at - digits)));
    ref.commit = text.substr(at + 2, 40);
    return ref;
  }
  ref.commit = text.substr(0, 40);
  return ref;
}

bool matches(const std::string& pattern, const std::string& name) {
  if (pattern.starts_with("refs/"))
    return ::fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  for (const std::string_view space : {"refs/heads/", "refs/tags/"}) {
    if (name.starts_with(space) &&
        ::fnmatch(pattern.c_str(), name.c_str() + space.size(), FNM_NOESCAPE) == 0)
      return true;
  }
  return false;
}

// Part is a word or a number of a name. Numbers compare by their values, and come after all words.
struct Part {
  bool number = false;
  std::string text;  // a number's has no zeros in front
  bool operator<(const Part& other) const {
    if (number != other.number) return !number;
    if (number && text.size() != other.text.size()) return text.size() < other.text.size();
    return text < other.text;
  }
};

std::vector<Part> parts_of(std::string_view name) {
  const auto type = [](char c) {
    return c >= '0' && c <= '9' ? 1 : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 2 : 0;
  };
  std::vector<Part> parts;
  for (std::size_t at = 0; at < name.size();) {
    const int kind = type(name[at]);
    std::size_t end = at + 1;
    while (end < name.size() && type(name[end]) == kind) ++end;
    if (kind != 0) {
      std::string_view text = name.substr(at, end - at);
      while (kind == 1 && text.size() > 1 && text.front() == '0') text.remove_prefix(1);
      parts.push_back({kind == 1, std::string(text)});
    }
    at = end;
  }
  return parts;
}

class Repository {
 public:
  Repository(const model::Source& source, Surroundings& surroundings, const GitWanted& wanted)
      : source_(source), surroundings_(surroundings), git_(source, surroundings),
        mirror_(git_, mirror_path()), ref_(parse(wanted.ref)), track_(wanted.track),
        exclude_(wanted.exclude), describe_(wanted.describe) {}

  Result<std::string> track() {
    std::string ref;
    const auto track_at = [&](const std::string& url) -> Status {
      std::vector<GitMirror::Ref> refs;
      CHECK(list(url, refs, "Failed to track {}"));
      const GitMirror::Ref* best = nullptr;
      for (const GitMirror::Ref& candidate : refs) {
        if (!wanted(candidate.name)) continue;
        if (best == nullptr || parts_of(best->name) < parts_of(candidate.name)) best = &candidate;
      }
      if (best == nullptr)
        return source_error(source_, "", fmt::format("{}No matching refs", where(source_)));
      const auto peeled = std::find_if(refs.begin(), refs.end(), [&](const GitMirror::Ref& other) {
        return other.name == best->name + "^{}";
      });
      const std::string commit = peeled != refs.end() ? peeled->id : best->id;
      surroundings_.message(Weight::kStatus, fmt::format("Tracked {}: {}", best->name, commit));
      ref = commit;
      if (!describe_) return {};
      if (best->name.find("tags") != std::string::npos) {
        ref = fmt::format("{}-0-g{}", best->name.substr(best->name.find('/', 5) + 1), commit);
        return {};
      }
      ref = TRY(describe(url, refs, commit));
      return {};
    };
    CHECK(try_urls(git_, source_.url, source_.track_urls, fmt::format("Tracking {} from", track_),
                   track_at));
    return ref;
  }

  // The id of the commit that begins with `prefix`.
  Result<std::string> find(const std::string& prefix) {
    std::string commit;
    CHECK(try_urls(git_, source_.url, source_.track_urls, fmt::format("Tracking {} from", prefix),
                   [&](const std::string& url) -> Status {
                     commit = TRY(find_at(prefix, url));
                     return {};
                   }));
    surroundings_.message(Weight::kStatus, fmt::format("Tracked {}: {}", prefix, commit));
    return commit;
  }

  // Whether the commit is there, with all of its history, or with what belongs to the ref.
  Result<bool> is_there(bool whole) const {
    auto has = mirror_.has_commit(ref_.commit);
    if (!has || !*has) return has;
    if (whole) return !path_exists(mirror_.path() + "/shallow");
    if (ref_.tag.empty()) return true;
    has = mirror_.has_commit("refs/tags/" + ref_.tag);
    if (!has || !*has || ref_.distance == 0) return has;
    // The commits between tag and commit must be there, too.
    auto leads =
        TRY(mirror_.run({"merge-base", "--is-ancestor", "refs/tags/" + ref_.tag, ref_.commit}));
    return leads.status == 0;
  }

  // Whether the mirror lacked what it was believed to have, and has it now: nothing is to be looked
  // at so closely before it turned out not to be there.
  Result<bool> mend(bool whole) {
    mending_ = true;
    mended_ = false;
    CHECK(fetch(whole));
    mending_ = false;
    return mended_;
  }

  // Fetches the commit. `whole`: with all of its history, for who works in it, if the ref doesn't
  // say how much of it belongs to it.
  Status fetch(bool whole) {
    whole = whole && ref_.tag.empty();
    const auto has_all = [&]() -> Result<bool> {
      if (!TRY(is_there(whole))) return false;
      return mending_ ? mirror_.is_readable(ref_.commit) : true;
    };
    if (TRY(has_all())) return {};
    return try_urls(
        git_, source_.url, source_.urls, "Fetching from", [&](const std::string& url) -> Status {
          const UniqueFd lock = TRY(GitMirror(git_, mirror_.path()).open());
          if (TRY(has_all())) return {};
          if (mending_) mirror_.warn_damaged();
          mended_ = true;
          // The commit is asked for alone, then what tracking would look at, then everything.
          std::vector<std::string> tag;
          if (!ref_.tag.empty())
            tag.push_back(fmt::format("refs/tags/{0}:refs/tags/{0}", ref_.tag));
          std::vector<std::string> refspecs = tag;
          refspecs.push_back(fmt::format("+{}:{}", ref_.commit, GitMirror::kept_name(ref_.commit)));
          auto ended = TRY(mirror_.fetch(
              url,
              {.refspecs = refspecs, .depth = whole ? 0 : ref_.distance + 1, .again = mending_}));
          if (ended.silent || is_refusal(ended)) return not_fetched(ended, url);
          if (TRY(has_all())) return {};
          std::vector<GitMirror::Ref> refs;
          CHECK(list(url, refs, "failed to fetch from {}"));
          if (!ref_.tag.empty() &&
              std::none_of(refs.begin(), refs.end(), [&](const GitMirror::Ref& ref) {
                return ref.name == "refs/tags/" + ref_.tag;
              })) {
            return source_error(source_, "",
                                fmt::format("{}ref refs/tags/{} not found in remote {}",
                                            where(source_), ref_.tag, url));
          }
          refspecs = tag;
          for (const GitMirror::Ref& ref : refs) {
            if (!track_.empty() && wanted(ref.name) && ref.name != "refs/tags/" + ref_.tag)
              refspecs.push_back(fmt::format("+{0}:{0}", ref.name));
          }
          if (refspecs.size() > tag.size())
            ended = TRY(mirror_.fetch(url, {.refspecs = refspecs, .again = mending_}));
          const auto has_it = [&] {
            return mending_ ? has_all() : mirror_.has_commit(ref_.commit);
          };
          bool has = TRY(has_it());
          if (!has) {
            ended = TRY(mirror_.fetch(
                url, {.refspecs = GitMirror::branches_and_tags(), .again = mending_}));
            has = TRY(has_it());
          }
          if (has && ended.status == 0) return {};
          if (ended.status != 0) return not_fetched(ended, url);
          return source_error(
              source_, "ref-not-found",
              fmt::format("{}{} not found in remote {}", where(source_), ref_.commit, url));
        });
  }

  Status stage(const std::string& directory, GitCheckout checkout) {
    const bool workspace = checkout == GitCheckout::kWorkspace;
    const std::string git = directory + "/.git";
    CHECK(begin_checkout(git_, mirror_, ref_.commit, directory,
                         workspace ? origin_config(source_.url, "") : ""));
    commit_ = TRY(mirror_.output({"rev-parse", "--verify", "--quiet", ref_.commit + "^{commit}"},
                                 fmt::format("Failed to check out {}", ref_.commit)));
    if (checkout == GitCheckout::kFiles) return remove_tree(git);
    auto commits = TRY(commits_of(workspace));
    CHECK(add_objects(directory, commits, workspace));
    CHECK(add_tags(directory, commits, workspace));
    std::string boundary;
    for (const auto& [commit, parents] : commits) {
      if (std::any_of(parents.begin(), parents.end(),
                      [&](const std::string& parent) { return !commits.contains(parent); }))
        boundary += commit + "\n";
    }
    // A mirror that ends at the commit doesn't tell of its parents.
    CHECK(mirror_shallow(commits, boundary));
    if (!boundary.empty()) {
      CHECK(write_file_atomic(git + "/shallow", boundary, 0644));
    }
    // The times of files in .git are fixed, so that the same tree comes of the same commit.
    return end_checkout(git_, mirror_, ref_.commit, directory, !workspace);
  }

 private:
  using Commits = std::map<std::string, std::vector<std::string>>;  // commits with their parents

  std::string mirror_path() const {
    std::string url = source_.original_url;
    if (url.ends_with(".git")) url.resize(url.size() - 4);
    return store::mirror_directory(surroundings_.settings(), source_.kind, url) + ".git";
  }

  tl::unexpected<Error> not_fetched(const ToolRun& run, const std::string& url) const {
    auto error = git_.failed(run, fmt::format("failed to fetch from {}", url));
    error.value().domain = "source";
    if (!is_refusal(run)) error.value().reason = kFetchFailed;
    return error;
  }

  Status list(const std::string& url, std::vector<GitMirror::Ref>& refs,
              std::string_view failure) const {
    auto listed = TRY(mirror_.list(url, refs));
    if (listed.status == 0) return {};
    auto error = git_.failed(listed, fmt::format(fmt::runtime(failure), url));
    error.value().domain = "source";
    if (!is_refusal(listed)) error.value().reason = kFetchFailed;
    return error;
  }

  bool wanted(const std::string& name) const {
    if (name.ends_with("^{}") || !matches(track_, name)) return false;
    return std::none_of(exclude_.begin(), exclude_.end(),
                        [&](const std::string& pattern) { return matches(pattern, name); });
  }

  Result<std::string> find_at(const std::string& prefix, const std::string& url) {
    const auto commit_of = [&]() -> Result<std::string> {
      const std::string ids = TRY(mirror_.output({"rev-parse", "--disambiguate=" + prefix},
                                                 fmt::format("Failed to look for {}", prefix)));
      std::string found;
      for (std::size_t at = 0; at + 40 <= ids.size(); at += 41) {
        const std::string id = ids.substr(at, 40);
        if (TRY(mirror_.run({"cat-file", "-t", id})).output != "commit\n") continue;
        if (!found.empty())
          return source_error(
              source_, "ambiguous-commit",
              fmt::format("{}Several commits of {} begin with {}", where(source_), url, prefix));
        found = id;
      }
      return found;
    };
    const UniqueFd lock = TRY(GitMirror(git_, mirror_.path()).open());
    auto ended = TRY(mirror_.fetch(url, {.refspecs = GitMirror::branches_and_tags()}));
    if (ended.status != 0) return not_fetched(ended, url);
    if (std::string found = TRY(commit_of()); !found.empty()) return found;
    // It may be of what a server offers besides branches and tags.
    std::vector<GitMirror::Ref> refs;
    CHECK(list(url, refs, "Failed to track {}"));
    for (const GitMirror::Ref& ref : refs) {
      if (ref.id.starts_with(prefix)) return ref.id;
    }
    ended = TRY(mirror_.fetch(url, {.refspecs = {"+refs/*:refs/sluice/all/*"}}));
    if (ended.status != 0) return not_fetched(ended, url);
    if (std::string found = TRY(commit_of()); !found.empty()) return found;
    return source_error(source_, "ref-not-found",
                        fmt::format("{}Failed to find {} from {}", where(source_), prefix, url));
  }

  // The nearest tag in the order of time, and how many commits are newer.
  Result<std::string> describe(const std::string& url, const std::vector<GitMirror::Ref>& refs,
                               const std::string& commit) {
    const UniqueFd lock = TRY(GitMirror(git_, mirror_.path()).open());
    auto ended = TRY(mirror_.fetch(
        url, {.refspecs = {fmt::format("+{}:{}", commit, GitMirror::kept_name(commit))}}));
    if (ended.status != 0)
      ended = TRY(mirror_.fetch(url, {.refspecs = GitMirror::branches_and_tags()}));
    if (ended.status != 0) return not_fetched(ended, url);
    std::map<std::string, std::string, std::less<>> tags;
    for (const GitMirror::Ref& ref : refs) {
      if (!ref.name.starts_with("refs/tags/")) continue;
      const std::string name = ref.name.substr(10);
      tags[ref.id] = name.ends_with("^{}") ? name.substr(0, name.size() - 3) : name;
    }
    auto commits = TRY(
        mirror_.output({"rev-list", commit}, fmt::format("Unable to find revision {}", commit)));
    std::size_t count = 0;
    for (std::size_t at = 0; at < commits.size(); ++count) {
      const std::size_t end = std::min(commits.find('\n', at), commits.size());
      const auto tag = tags.find(std::string_view(commits).substr(at, end - at));
      if (tag != tags.end()) return fmt::format("{}-{}-g{}", tag->second, count, commit);
      at = end + 1;
    }
    return commit;
  }

  Result<Commits> commits_of(bool workspace) const {
    Commits commits;
    std::vector<std::string> arguments = {"rev-list", "--parents", commit_};
    if (!workspace) {
      auto base =
          TRY(ref_.tag.empty()
                  ? Result<std::string>(commit_)
                  : mirror_.output({"rev-parse", "--verify", "--quiet",
                                    fmt::format("refs/tags/{}^{{commit}}", ref_.tag)},
                                   fmt::format("Tag {} does not point to a commit", ref_.tag)));
      if (base == commit_) {
        arguments = {"rev-list", "--parents", "--max-count=1", commit_};
      } else {
        arguments.push_back("--not");
        arguments.push_back(base + "^@");
      }
    }
    auto listed =
        TRY(mirror_.output(arguments, fmt::format("Failed to get the history of {}", ref_.commit)));
    std::size_t at = 0;
    while (at < listed.size()) {
      const std::size_t end = std::min(listed.find('\n', at), listed.size());
      std::string_view line = std::string_view(listed).substr(at, end - at);
      at = end + 1;
      std::vector<std::string>& parents = commits[std::string(line.substr(0, 40))];
      for (line.remove_prefix(std::min<std::size_t>(line.size(), 40)); line.size() > 40;
           line.remove_prefix(41))
        parents.emplace_back(line.substr(1, 40));
    }
    if (!workspace && !ref_.tag.empty()) keep_near(commits);
    return commits;
  }

  // The commits that a mirror has which was made for this ref alone: what is staged doesn't depend
  // on what others fetched.
  void keep_near(Commits& commits) const {
    std::set<std::string> near = {commit_};
    std::vector<std::string> edge = {commit_};
    for (unsigned distance = 0; distance < ref_.distance && !edge.empty(); ++distance) {
      std::vector<std::string> next;
      for (const std::string& commit : edge) {
        const auto found = commits.find(commit);
        if (found == commits.end()) continue;
        for (const std::string& parent : found->second) {
          if (near.insert(parent).second) next.push_back(parent);
        }
      }
      edge = std::move(next);
    }
    std::erase_if(commits, [&](const auto& entry) { return !near.contains(entry.first); });
  }

  // Commits whose parents the mirror itself lacks.
  Status mirror_shallow(const Commits& commits, std::string& boundary) const {
    const std::string file = mirror_.path() + "/shallow";
    if (!path_exists(file)) return {};
    auto text = TRY(read_file(file));
    std::set<std::string> lines;
    for (const std::string* list : {&boundary, &text}) {
      for (std::size_t at = 0; at + 40 <= list->size(); at += 41) {
        const std::string commit = list->substr(at, 40);
        if (commits.contains(commit)) lines.insert(commit);
      }
    }
    // Servers name commits without parents, too.
    for (auto line = lines.begin(); line != lines.end();) {
      auto object = TRY(
          mirror_.output({"cat-file", "commit", *line}, fmt::format("Failed to read {}", *line)));
      line = object.substr(0, object.find("\n\n")).find("\nparent ") != std::string::npos
                 ? std::next(line)
                 : lines.erase(line);
    }
    boundary.clear();
    for (const std::string& commit : lines) boundary += commit + "\n";
    return {};
  }

  Status add_objects(const std::string& directory, const Commits& commits, bool workspace) {
    const std::string git = directory + "/.git";
    std::string list;
    for (const auto& [commit, parents] : commits) list += commit + "\n";
    std::vector<std::string> arguments = {"rev-list", "--objects", "--no-walk=unsorted", "--stdin"};
    if (!workspace) arguments.push_back("--filter=blob:none");
    auto objects = TRY(mirror_.output(
        std::move(arguments), fmt::format("Failed to get the trees of {}", ref_.commit), list));
    std::set<std::string> ids;
    for (std::size_t at = 0; at < objects.size();) {
      ids.insert(objects.substr(at, 40));
      at = std::min(objects.find('\n', at), objects.size()) + 1;
    }
    if (workspace) {
      // All of the history goes into one pack.
      std::string wanted;
      for (const std::string& id : ids) wanted += id + "\n";
      CHECK(mirror_.output({"pack-objects", "--quiet", git + "/objects/pack/pack"},
                           fmt::format("Failed to get the history of {}", ref_.commit), wanted));
      return {};
    }
    CHECK(add_links(commits, list, ids));
    std::string wanted;
    for (const std::string& id : ids) wanted += id + "\n";
    surroundings_.message(Weight::kStatus, fmt::format("Adding {} objects", ids.size()));
    return sources::add_objects(git_, mirror_, directory, wanted,
                                fmt::format("the objects of {}", ref_.commit));
  }

  // The blobs of the symbolic links of all these commits.
  Status add_links(const Commits& commits, const std::string& list,
                   std::set<std::string>& ids) const {
    const std::string failure = fmt::format("Failed to get the trees of {}", ref_.commit);
    // Commits whose parents aren't known give all of theirs, the others what changed from one to
    // the next.
    for (const auto& [commit, parents] : commits) {
      const bool whole = parents.empty() || std::any_of(parents.begin(), parents.end(),
                                                        [&](const std::string& parent) {
                                                          return !commits.contains(parent);
                                                        });
      if (!whole) continue;
      auto tree = TRY(mirror_.output({"ls-tree", "-r", "-z", "--full-tree", commit}, failure));
      for (std::size_t at = 0; at < tree.size();) {
        if (tree.compare(at, 12, "120000 blob ") == 0) ids.insert(tree.substr(at + 12, 40));
        at = std::min(tree.find('\0', at), tree.size()) + 1;
      }
    }
    if (commits.size() < 2) return {};
    auto changes = TRY(mirror_.output({"diff-tree", "--stdin", "-r", "-m", "--raw", "-z",
                                       "--no-commit-id", "--no-renames", "--no-abbrev"},
                                      failure, list));
    // A change is ":OLD-MODE NEW-MODE OLD NEW STATUS", and a path.
    for (std::size_t at = 0; at < changes.size();) {
      if (changes.compare(at, 1, ":") == 0 && changes.compare(at + 8, 7, "120000 ") == 0)
        ids.insert(changes.substr(at + 15 + 41, 40));
      at = std::min(changes.find('\0', at), changes.size()) + 1;
    }
    return {};
  }

  Status add_tags(const std::string& directory, const Commits& commits, bool workspace) {
    const std::string git = directory + "/.git";
    std::vector<std::string> names;
    if (!workspace) {
      if (!ref_.tag.empty()) names.push_back("refs/tags/" + ref_.tag);
    } else {
      auto listed = TRY(mirror_.output({"for-each-ref", "--format=%(refname)", "refs/tags"},
                                       "Failed to list tags"));
      for (std::size_t at = 0; at < listed.size();) {
        const std::size_t end = std::min(listed.find('\n', at), listed.size());
        names.push_back(listed.substr(at, end - at));
        at = end + 1;
      }
    }
    std::string objects;
    CHECK(add_tag_objects(ref_.commit, commit_, objects));
    for (const std::string& name : names) {
      auto commit =
          mirror_.output({"rev-parse", "--verify", "--quiet", name + "^{commit}"},
                         fmt::format("Tag {} does not point to a commit", name.substr(10)));
      if (!commit && !workspace) return forward(commit);
      if (!commit || (workspace && !commits.contains(*commit))) continue;
      auto id =
          TRY(mirror_.output({"rev-parse", "--verify", "--quiet", name}, "Failed to read a tag"));
      const std::string file = fmt::format("{}/{}", git, name);
      CHECK(make_directories(file.substr(0, file.rfind('/'))));
      CHECK(write_file_atomic(file, id + "\n", 0644));
      CHECK(add_tag_objects(id, *commit, objects));
    }
    if (objects.empty()) return {};
    return sources::add_objects(git_, mirror_, directory, objects, "the tags");
  }

  // Appends annotated tags, lines of ids, on the way from `object` to the commit that it stands
  // for: a tag may be a tag of another one.
  Status add_tag_objects(std::string object, const std::string& commit,
                         std::string& objects) const {
    while (object != commit) {
      objects += object + "\n";
      auto text = TRY(mirror_.output({"cat-file", "tag", object}, "Failed to read a tag"));
      if (!text.starts_with("object ")) break;
      object = text.substr(7, 40);
    }
    return {};
  }

  const model::Source& source_;
  Surroundings& surroundings_;
  GitProgram git_;
  GitMirror mirror_;
  Ref ref_;
  std::string commit_;  // what is staged: refs may name an annotated tag instead of its commit
  std::string track_;
  std::vector<std::string> exclude_;
  bool describe_ = false;
  bool mending_ = false;  // what is there is read before it is believed, and all fetched otherwise
  bool mended_ = false;
};

}  // namespace

Result<std::string> track_commit(const model::Source& source, Surroundings& surroundings,
                                 const GitWanted& wanted) {
  return Repository(source, surroundings, wanted).track();
}

Result<std::string> find_commit(const model::Source& source, Surroundings& surroundings,
                                const std::string& prefix) {
  return Repository(source, surroundings, {}).find(prefix);
}

Result<bool> has_commit(const model::Source& source, Surroundings& surroundings,
                        const GitWanted& wanted) {
  return Repository(source, surroundings, wanted).is_there(false);
}

Status fetch_commit(const model::Source& source, Surroundings& surroundings,
                    const GitWanted& wanted) {
  return Repository(source, surroundings, wanted).fetch(false);
}

Status check_out(const model::Source& source, Surroundings& surroundings, const GitWanted& wanted,
                 const std::string& directory, GitCheckout checkout) {
  const bool whole = checkout == GitCheckout::kWorkspace;
  Repository repository(source, surroundings, wanted);
  if (whole) {
    CHECK(repository.fetch(true));
  }
  return with_mended_mirror(
      directory, [&] { return repository.stage(directory, checkout); },
      [&] { return repository.mend(whole); });
}

}  // namespace sluice::sources
