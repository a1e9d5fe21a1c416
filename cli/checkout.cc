// `artifact checkout`: stages an artifact with its dependencies, integrates, and writes the
// result to a directory or a tar archive.
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/artifacts.h"
#include "cli/staging.h"
#include "cli/tar.h"
#include "cli/workbench.h"
#include "store/realise.h"

namespace sluice::cli {

namespace {

tl::unexpected<Error> stream_error(std::string message) { return fail("stream", "", std::move(message)); }

bool has_entries(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return false;
  bool any = false;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    any = any || (name != "." && name != "..");
  }
  ::closedir(stream);
  return any;
}

// Before anything is staged: it may take minutes.
Status check_location(const std::string& location, const CheckoutCommand& command) {
  if (command.tar.empty()) {
    if (auto made = make_directories(location); !made) {
      return stream_error(fmt::format("Failed to create destination directory: '{}'", made.error().message));
    }
    if (::access(location.c_str(), W_OK) != 0) return stream_error(fmt::format("Destination directory '{}' not writable", location));
    if (!command.force && has_entries(location)) return stream_error(fmt::format("Destination directory '{}' not empty", location));
  } else if (location != "-" && path_exists(location)) {
    if (::access(location.c_str(), W_OK) != 0) return stream_error(fmt::format("Output file '{}' not writable", location));
    if (!command.force) return stream_error(fmt::format("Output file '{}' already exists", location));
  }
  return {};
}

std::string default_location(const std::string& target) {
  const wire::LoadArguments here = load_arguments({});
  std::string location = here.directory + "/" + target;
  if (location.ends_with(".bst")) location.resize(location.size() - 4);
  return location;
}

Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location, const std::string& compression) {
  if (location == "-") return write_tar(cas, root, 1, compression);
  UniqueFd file(::open(location.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) return fail_errno(errno, location);
  auto written = write_tar(cas, root, file.get(), compression);
  if (!written) ::unlink(location.c_str());
  return written;
}

Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location, const CheckoutCommand& command) {
  store::CheckoutOptions options;
  options.force = command.force;
  options.hardlinks = command.hardlinks;
  return store::checkout(cas, root, location, options);
}

Status check_out(Invocation& invocation, const CheckoutCommand& command) {
  if (command.target.empty()) return fail("app", "", "Missing argument \"ELEMENT\".");
  std::string compression = command.compression;
  if (!command.tar.empty()) {
    auto inferred = compression_of(command.tar);
    if (!inferred) return forward(inferred);
    if (!compression.empty() && !inferred->empty() && *inferred != compression) {
      invocation.report.warning("File extension and compression differ. File extension has been overridden by --compression");
    }
    if (compression.empty()) compression = *inferred;
  }
  auto targets = ArtifactTargets::resolve(invocation, {command.target}, command.deps);
  if (!targets) return forward(targets);
  const std::string location = !command.tar.empty()         ? command.tar
                               : !command.directory.empty() ? command.directory
                                                            : default_location(command.target);
  if (auto good = check_location(location, command); !good) return good;

  const auto staging_failed = [](Error error) {
    error.domain = "stream";
    error.message = fmt::format("Error while staging dependencies into a sandbox: '{}'", error.message);
    return tl::unexpected<Error>(std::move(error));
  };
  auto data = job_data(*targets);
  if (!data) return staging_failed(std::move(data.error()));
  auto bench = Workbench::open(invocation.report, targets->cas(), std::move(*data));
  if (!bench) return forward(bench);
  if (auto staged = (*bench)->stage(command.integrate); !staged) return staging_failed(std::move(staged.error()));
  auto root = (*bench)->build().root().store(targets->cas());
  if (!root) return forward(root);
  return command.tar.empty() ? export_directory(targets->cas(), *root, location, command)
                             : export_tar(targets->cas(), *root, location, compression);
}

}  // namespace

int run_checkout(Invocation& invocation, const CheckoutCommand& command) {
  auto done = check_out(invocation, command);
  return done ? kSuccess : failed(invocation, done.error());
}

}  // namespace sluice::cli
