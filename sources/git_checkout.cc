#include "sources/git_checkout.h"

#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "sources/git_clones.h"

namespace sluice::sources {

namespace {

GitCall call_in(const std::string& directory, std::vector<std::string> arguments,
                std::string_view input = {}) {
  return {.arguments = std::move(arguments),
          .directory = directory,
          .git_dir = directory + "/.git",
          .work_tree = directory,
          .input = input};
}

std::string cannot(const std::string& commit) {
  return fmt::format("Failed to check out {}", commit);
}

}  // namespace

Status begin_checkout(GitProgram& git, const GitMirror& mirror, const std::string& commit,
                      const std::string& directory, std::string_view config) {
  git.surroundings().message(Weight::kStatus, fmt::format("Checking out {}", commit));
  const std::string own = directory + "/.git";
  CHECK(make_dot_git(own, config));
  const std::vector<std::pair<std::string, std::string>> files = {
      {"HEAD", "ref: refs/heads/master\n"},
      // Files stay as they are, whatever the repository's own attributes say.
      {"info/attributes", "* -text -ident !filter !working-tree-encoding !eol\n"},
      {"refs/heads/master", commit + "\n"}};
  for (const auto& [name, text] : files) {
    CHECK(write_file_atomic(fmt::format("{}/{}", own, name), text, 0644));
  }
  GitCall read = call_in(directory, {"read-tree", "-u", "--reset", commit});
  read.alternates = mirror.path() + "/objects";
  CHECK(git.output(read, cannot(commit)));
  return {};
}

Status end_checkout(GitProgram& git, const GitMirror& mirror, const std::string& commit,
                    const std::string& directory, bool fixed) {
  const std::string own = directory + "/.git";
  std::error_code error;
  std::filesystem::remove(own + "/info/attributes", error);
  if (!fixed) return {};
  // The index tells the times of files, which are fixed later.
  std::filesystem::remove(own + "/index", error);
  GitCall read = call_in(directory, {"read-tree", commit});
  read.alternates = mirror.path() + "/objects";
  CHECK(git.output(read, cannot(commit)));
  return {};
}

Status add_objects(GitProgram& git, const GitMirror& mirror, const std::string& directory,
                   std::string_view ids, const std::string& what) {
  auto pack = TRY(mirror.run({"pack-objects", "--quiet", "--stdout"}, ids));
  if (pack.status != 0) return git.failed(pack, fmt::format("Failed to get {}", what));
  CHECK(git.output(call_in(directory, {"unpack-objects", "-q"}, pack.output),
                   fmt::format("Failed to add {}", what)));
  return {};
}

}  // namespace sluice::sources
