// `init`: a new project. Without a name on the command line somebody at a terminal is asked.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>

#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/terminal.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/commands.h"
#include "yaml/tree.h"

namespace sluice::cli {

namespace {

// What projects may ask for of the BuildStream that this is like.
constexpr unsigned kMajor = 2;
constexpr unsigned kMinor = 8;

Status check_name(const std::string& name) {
  return yaml::assert_symbol_name(name, "project name", yaml::Node());
}

Status check_version(const std::string& version) {
  unsigned major = 0;
  unsigned minor = 0;
  char rest = 0;
  // A version is "2.8", or "2.8.1", of which the last number doesn't count.
  const int parts = std::sscanf(version.c_str(), "%5u.%5u%c", &major, &minor, &rest);
  if (version.find_first_not_of("0123456789.") != std::string::npos || parts < 2 ||
      (parts == 3 && rest != '.')) {
    return fail("app", "invalid-min-version", fmt::format("Malformed version string: {}", version));
  }
  if (major == kMajor && minor <= kMinor) return {};
  return fail("app", "invalid-min-version",
              fmt::format("The minimum version must be a known version of BuildStream {}", kMajor));
}

Status check_path(const std::string& path) {
  bool bad = path.starts_with('/');
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    bad = bad || path.substr(begin, end - begin) == "..";
    begin = end + 1;
  }
  if (!bad) return {};
  return fail("app", "invalid-element-path",
              "The element path cannot be an absolute path or contain any '..' components");
}

// A line of the standard input, byte by byte: what comes after it is somebody else's. Nothing at
// its end, or after an interrupt.
std::optional<std::string> read_line() {
  std::string line;
  for (;;) {
    char c = 0;
    const ssize_t n = ::read(0, &c, 1);
    if (n <= 0) return n == 0 && !line.empty() ? std::optional(line) : std::nullopt;
    if (c == '\n') return line;
    line += c;
  }
}

// A paragraph for somebody at the terminal.
void say(std::string_view text) {
  std::string lines;
  for (const std::string& line : wrap(clean(text), terminal_columns())) lines += line + "\n";
  (void)write_all(2, lines);
}

// Asks until the answer is good. False at the end of the input.
bool ask(const std::string& question, std::string& answer,
         const std::function<Status(const std::string&)>& check) {
  for (;;) {
    (void)write_all(2,
                    answer.empty() ? question + ": " : fmt::format("{} [{}]: ", question, answer));
    const auto read = read_line();
    if (!read) return false;
    const std::string line = read->empty() ? answer : *read;
    if (line.empty()) continue;
    const Status good = check(line);
    if (good) {
      answer = line;
      return true;
    }
    say("Error: " + good.error().message);
    if (!good.error().detail.empty()) say(good.error().detail);
  }
}

bool interview(InitCommand& project) {
  // Ctrl-C ends the reading, and with it the questions: nothing is made.
  struct sigaction noticed {};
  noticed.sa_handler = [](int) {};
  ::sigaction(SIGINT, &noticed, nullptr);
  (void)write_all(2, "\n");
  say("The name tells this project from others: letters, digits, dashes and underscores, no digit "
      "first.");
  if (!ask("Project name", project.name, check_name)) return false;
  (void)write_all(2, "\n");
  say(fmt::format("The oldest BuildStream that can work on the project: from {}.0 to {}.{}.",
                  kMajor, kMajor, kMinor));
  if (!ask("Minimum version", project.min_version, check_version)) return false;
  (void)write_all(2, "\n");
  say("The directory for the elements' files (.bst) below that of the project. Elements are named "
      "from there.");
  return ask("Element path", project.element_path, check_path);
}

Result<std::string> init(Invocation& invocation, InitCommand project) {
  std::string directory = project.directory.empty() ? "." : project.directory;
  directory = normalize(join(current_directory(), directory));
  if (!invocation.global.directory.empty()) {
    return fail("app", "init-with-set-directory", "Attempted to use -C or --directory with init.",
                {},
                fmt::format("Please use 'sluice init {}' instead.",
                            normalize(join(current_directory(), invocation.global.directory))));
  }
  const std::string file = directory + "/project.conf";
  if (!project.force && path_exists(file)) {
    return fail("app", "project-exists", fmt::format("A project.conf already exists at: {}", file));
  }
  if (!project.name.empty()) {
    CHECK(check_name(project.name));
    CHECK(check_version(project.min_version));
    CHECK(check_path(project.element_path));
  } else if (!invocation.interactive) {
    return fail("app", "unspecified-project-name",
                "Cannot initialize a new project without specifying the project name");
  } else if (!interview(project)) {
    return fail("app", "aborted", "Aborted!");
  }
  if (auto made = make_directories(directory); !made) {
    return fail(
        "app", "",
        fmt::format("Error creating project directory {}: {}", directory, made.error().message));
  }
  const std::string elements = join(directory, project.element_path);
  if (auto made = make_directories(elements); !made) {
    return fail("app", "",
                fmt::format("Error creating elements sub-directory {}: {}", elements,
                            made.error().message));
  }
  const std::string text = fmt::format(
      "# Unique project name\nname: {}\n\n# Required BuildStream version\nmin-version: {}\n\n"
      "# Subdirectory where elements are stored\nelement-path: {}\n",
      project.name, project.min_version, project.element_path);
  // A project.conf that is a symbolic link is written where it leads, so that the link stays.
  std::error_code ignored;
  const std::string place = std::filesystem::weakly_canonical(file, ignored).string();
  if (auto written = write_file_atomic(ignored || place.empty() ? file : place, text); !written) {
    return fail("app", "", fmt::format("Error writing {}: {}", file, written.error().message));
  }
  return file;
}

}  // namespace

int run_init(Invocation& invocation, const InitCommand& command) {
  auto file = init(invocation, command);
  if (!file) return failed(invocation, file.error());
  (void)write_all(2, fmt::format("\nCreated project.conf at: {}\n", *file));
  return kSuccess;
}

}  // namespace sluice::cli
