// A patch of the project, by the program `patch`, as BuildStream calls it.
#include <cerrno>
#include <filesystem>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "sources/works.h"

namespace sluice::sources::patch {

Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory) {
  const std::string name = source.config.get_string("path", source.path);
  Step step(surroundings, fmt::format("Applying local patch: {}", name));
  if (std::filesystem::is_empty(directory)) {
    return source_error(
        source, "patch-no-files",
        fmt::format("{}Nothing to patch in directory '{}'", where(source), source.directory));
  }
  auto aside = TRY(surroundings.directory("patch"));
  // A copy of the patch is made, so that what is looked at is what is applied.
  auto text = TRY(read_file(source.path));
  if (source.local_digest !=
      model::Digest{sha256_hex(text), static_cast<std::int64_t>(text.size())}) {
    return source_error(
        source, "source-changed",
        fmt::format("{}{} changed after it was loaded", where(source), source.path));
  }
  const std::string file = aside + "/patch";
  CHECK(write_file_atomic(file, text));
  Tool tool;
  tool.argv = {"patch",  "-p" + source.config.get_string("strip-level", "1"), "-i", file, "-d",
               directory};
  tool.errors = Tool::Errors::kWithOutput;
  tool.own_session = true;
  auto ended = TRY(run_tool(tool, surroundings.stop()));
  surroundings.log(ended.output);
  if (ended.status != 0) {
    return fail("plugin", "", fmt::format("{}Failed to apply patch {}", where(source), name),
                source.provenance, ended.output);
  }
  if (::unlink(file.c_str()) != 0) return fail_errno(errno, file);
  step.success();
  return {};
}

}  // namespace sluice::sources::patch
