#include "cli/command_surroundings.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::cli {

namespace fs = std::filesystem;

CommandSurroundings::~CommandSurroundings() {
  // Nothing of plugins writes there any more.
  plugins_.end_all();
  std::error_code ignored;
  if (!scratch_.empty()) fs::remove_all(scratch_, ignored);
}

void CommandSurroundings::message(sources::Weight weight, std::string_view text,
                                  std::string_view detail) {
  if (report_ == nullptr) return;
  const std::string whole =
      detail.empty() ? std::string(text) : fmt::format("{}\n\n{}", text, detail);
  if (weight == sources::Weight::kWarning) report_->warning(whole);
  if (weight == sources::Weight::kInfo) report_->info(whole);
}

bool CommandSurroundings::is_fatal(std::string_view warning) const {
  return std::any_of(fatal_warnings_.begin(), fatal_warnings_.end(),
                     [&](const std::string& name) { return name == "*" || name == warning; });
}

Result<std::string> CommandSurroundings::directory(const std::string& name) {
  if (scratch_.empty()) {
    CHECK(make_directories(settings_.builddir));
    std::string path = settings_.builddir + "/command-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, path);
    scratch_ = std::move(path);
  }
  const std::string path = fmt::format("{}/{}", scratch_, name);
  std::error_code ignored;
  fs::remove_all(path, ignored);
  CHECK(make_directories(path));
  return path;
}

}  // namespace sluice::cli
