// The work of kind git_module, a submodule of a repository that a source before it has: its commit
// is what that repository says, and it is staged at the submodule's path
// (buildstream-plugins-community, git_module).
#include <filesystem>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/git_clones.h"
#include "sources/works.h"

namespace sluice::sources::git_module {

namespace fs = std::filesystem;

namespace {

// The path of the submodule; an absolute one begins at the top of the source.
Result<std::string> path_of(const model::Source& source) {
  const std::string written = source.config.get_string("path");
  const fs::path path = fs::path("/" + written).lexically_normal().relative_path();
  // "a/.." is the top, like "".
  std::string normal = path == "." ? "" : path.string();
  while (normal.ends_with('/')) normal.pop_back();
  const fs::path relative = fs::path(written).lexically_normal();
  if ((!normal.empty() && !is_safe_path(normal)) || relative.string().starts_with(".."))
    return source_error(source, "bad-submodule",
                        fmt::format("{}'{}' is no path of a submodule", where(source), written));
  return normal;
}

// The commit of the submodule at `path` of the repository that `directory` is in, which is `top` or
// below it.
Result<std::string> commit_in(GitProgram& git, const std::string& top, std::string directory,
                              std::string path) {
  const std::string failure =
      fmt::format("{}Failed to run 'git submodule status {}'", where(git.source()),
                  git.source().config.get_string("path"));
  const auto failed = [&](std::string detail) {
    return fail("plugin", "", failure, git.source().provenance, std::move(detail));
  };
  std::error_code error;
  while (!fs::is_directory(directory + "/.git", error)) {
    if (directory.size() <= top.size())
      return failed("There is no repository in what the sources before this one have staged");
    const std::size_t slash = directory.rfind('/');
    path = directory.substr(slash + 1) + "/" + path;
    directory.resize(slash);
  }
  auto listed =
      TRY(git.run({.arguments = {"--literal-pathspecs", "ls-files", "--stage", "-z", "--", path},
                   .directory = directory,
                   .git_dir = directory + "/.git",
                   .work_tree = directory}));
  if (listed.status != 0) return git.failed(listed, failure);
  if (listed.output.empty())
    return failed(fmt::format("'{}' is nothing that the repository has", path));
  // An entry is "MODE ID STAGE\tPATH".
  if (!listed.output.starts_with("160000 ") || listed.output.size() < 48)
    return source_error(
        git.source(), "",
        fmt::format("{}'{}' is no submodule of the repository", where(git.source()), path));
  auto named = TRY(git.run({.arguments = {"config", "--null", "--file", ".gitmodules",
                                          "--get-regexp", R"(^submodule\..*\.path$)"},
                            .directory = directory,
                            .git_dir = directory + "/.git",
                            .work_tree = directory}));
  if (('\0' + named.output).find('\n' + path + '\0') == std::string::npos)
    return failed(fmt::format("no submodule mapping found in .gitmodules for path '{}'", path));
  return listed.output.substr(7, 40);
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  const std::string path = TRY(path_of(source));
  const std::string top = TRY(surroundings.previous());
  GitProgram git(source, surroundings);
  // The repository is where the source is staged; the plugin only looks at the top of all sources.
  auto found = source.directory.empty()
                   ? commit_in(git, top, top, path)
                   : commit_in(git, top, fmt::format("{}/{}", top, source.directory), path);
  if (!found && !source.directory.empty() && found.error().domain != "job") {
    auto above = commit_in(git, top, top, path);
    if (above) found = std::move(above);
  }
  const std::string commit = TRY(std::move(found));
  return std::optional(Found{model::Node::make_scalar(commit), commit});
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, TRY(path_of(source)), false).cached();
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, TRY(path_of(source)), false).fetch(false);
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return GitClones(source, surroundings, TRY(path_of(source)), false).stage();
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  return GitClones(source, surroundings, TRY(path_of(source)), false).init_workspace(directory);
}

}  // namespace sluice::sources::git_module
