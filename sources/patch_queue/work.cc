// All patches of a directory, in the order of their names. Of the plugin there are two that make
// the same key: that of buildstream-plugins-community has `git apply` do it, copies in projects
// have `patch -Np1`.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "sources/git_program.h"
#include "sources/works.h"
#include "yaml/json.h"

namespace sluice::sources::patch_queue {

namespace fs = std::filesystem;

namespace {

using Apply = Result<ToolRun> (*)(GitProgram& git, const std::string& directory,
                                  const std::string& file);

// Applies patches by `git apply` without a repository, whatever the directory holds: the .git of
// somebody's archive has no say in what is run here.
Result<ToolRun> by_git(GitProgram& git, const std::string& directory, const std::string& file) {
  return git.run({.arguments = {"apply", "--", file},
                  .directory = directory,
                  .git_dir = "/dev/null",
                  .work_tree = directory});
}

Result<ToolRun> by_patch(GitProgram& git, const std::string& directory, const std::string& file) {
  Tool tool;
  tool.argv = {"patch", "-d", directory, "-Np1", "-i", file};
  tool.errors = Tool::Errors::kWithOutput;
  tool.own_session = true;
  auto ended = TRY(run_tool(tool, git.surroundings().stop()));
  git.surroundings().log(ended.output);
  ended.errors = std::move(ended.output);
  return ended;
}

Status apply_all(const model::Source& source, Surroundings& surroundings,
                 const std::string& directory, Apply apply_one) {
  const std::string path = source.config.get_string("path", source.path);
  Step step(surroundings, fmt::format("Applying patch queue: {}", path));
  GitProgram git(source, surroundings);
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(source.path, error))
    names.push_back(entry.path().filename());
  if (error) return fail_errno(error.value(), source.path);
  std::sort(names.begin(), names.end());
  auto aside = TRY(surroundings.directory("patches"));
  // Copies of the patches are made, so that what is looked at is what is applied.
  std::string sums = "[";
  std::vector<std::string> files;
  for (const std::string& name : names) {
    auto text = TRY(read_file(fmt::format("{}/{}", source.path, name)));
    if (sums.size() > 1) sums += ',';
    yaml::json_string(sums, sha256_hex(text));
    files.push_back(fmt::format("{}/{}", aside, files.size()));
    CHECK(write_file_atomic(files.back(), text));
  }
  if (sha256_hex(sums + "]") != source.key) {
    return source_error(
        source, "source-changed",
        fmt::format("{}{} changed after it was loaded", where(source), source.path));
  }
  for (const std::string& file : files) {
    auto ended = TRY(apply_one(git, directory, file));
    if (ended.status != 0)
      return git.failed(ended, fmt::format("Failed to apply patches from {}", path));
  }
  for (const std::string& file : files) fs::remove(file, error);
  step.success();
  return {};
}

}  // namespace

Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory) {
  return apply_all(source, surroundings, directory, by_git);
}

Status change_by_patch(const model::Source& source, Surroundings& surroundings,
                       const std::string& directory) {
  return apply_all(source, surroundings, directory, by_patch);
}

}  // namespace sluice::sources::patch_queue
