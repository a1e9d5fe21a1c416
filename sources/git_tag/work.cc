// The work of kind git_tag, a commit of a repository with its submodules, its history and its .git,
// by the `git` program (buildstream-plugins-community, git_tag).
#include <charconv>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/git_clones.h"
#include "sources/works.h"

namespace sluice::sources::git_tag {

namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Candidate is what a branch would give: the ref, and when its commit was made.
struct Candidate {
  std::string ref;
  long long time = 0;
};

// The newest commit of a branch, or the newest tag that it has.
Result<Candidate> candidate_of(const GitMirror& mirror, const model::Source& source,
                               Surroundings& surroundings, const std::string& branch) {
  // What doesn't look like the name of a branch here is one that was fetched under another name.
  const std::string rev = branch == "HEAD" ? "refs/sluice/HEAD" : branch;
  std::vector<std::string> patterns;
  for (const std::string& pattern : source.config.get_strings("match"))
    patterns.push_back("--match=" + pattern);
  for (const std::string& pattern : source.config.get_strings("exclude"))
    patterns.push_back("--exclude=" + pattern);
  const auto describe = [&](std::vector<std::string> arguments, const std::string& of) {
    arguments.insert(arguments.begin(), {"describe", "--tags"});
    arguments.insert(arguments.end(), patterns.begin(), patterns.end());
    arguments.push_back(of);
    return mirror.run(std::move(arguments));
  };
  std::string found;
  if (is_true(source.config.get_string("track-tags"))) {
    auto tag = TRY(describe({"--abbrev=0"}, rev));
    if (tag.status == 0) {
      found = first_line(tag.output);
    } else {
      surroundings.message(
          Weight::kInfo, fmt::format("Unable to find tag for specified branch name '{}'", branch));
    }
  }
  if (found.empty())
    found = TRY(
        mirror.output({"rev-parse", "--verify", rev},
                      fmt::format("Unable to find commit for specified branch name '{}'", branch)));
  Candidate candidate{.ref = found};
  auto described = TRY(describe({"--abbrev=40", "--long"}, found));
  if (described.status == 0) candidate.ref = first_line(described.output);
  auto time = TRY(mirror.output({"show", "-s", "--format=%ct", found + "^{commit}", "--"},
                                fmt::format("Unable to find the time of {}", found)));
  std::from_chars(time.data(), time.data() + time.size(), candidate.time);
  return candidate;
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  const std::string track = source.config.get_string("track");
  if (track.empty()) return std::optional<Found>();
  std::vector<std::string> branches = source.config.get_strings("track-extra");
  branches.insert(branches.begin(), track);
  std::vector<std::string> more;
  for (const std::string& branch : branches) {
    if (branch.starts_with('-'))
      return source_error(source, "",
                          fmt::format("{}Unable to find commit for specified branch name '{}'",
                                      where(source), branch));
    if (branch == "HEAD") more.emplace_back("+HEAD:refs/sluice/HEAD");
    if (branch.starts_with("refs/") && !branch.starts_with("refs/heads/") &&
        !branch.starts_with("refs/tags/"))
      more.push_back(fmt::format("+{0}:{0}", branch));
  }
  Candidate best;
  GitClones clones(source, surroundings, "", true);
  CHECK(clones.update(fmt::format("Tracking {} from", track), more,
                      [&](const GitMirror& mirror) -> Status {
                        best = {};
                        for (const std::string& branch : branches) {
                          auto candidate = TRY(candidate_of(mirror, source, surroundings, branch));
                          if (best.ref.empty() || candidate.time > best.time)
                            best = std::move(candidate);
                        }
                        return {};
                      }));
  return std::optional(Found{model::Node::make_scalar(best.ref), best.ref});
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, "", true).cached();
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, "", true).fetch(false);
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, "", true).stage();
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  return GitClones(source, surroundings, "", true).init_workspace(directory);
}

}  // namespace sluice::sources::git_tag
