// The work of kind pip, source distributions that the machine's `pip download` gets from an index
// (buildstream-plugins, pip). They are staged as they are, in one directory.
#include <algorithm>
#include <filesystem>
#include <regex>

#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/tool.h"
#include "base/try.h"
#include "sources/works.h"
#include "store/directory.h"
#include "store/downloads.h"
#include "store/tree.h"

namespace sluice::sources::pip {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStagedAs = ".bst_pip_downloads";
constexpr std::string_view kPythons[] = {"python3",   "python3.12", "python3.11", "python3.10",
                                         "python3.9", "python3.8",  "python3.7",  "python3.6",
                                         "python3.5", "python3.4",  "python3.3",  "python3.2",
                                         "python3.1", "python3.0",  "python2.7",  "python"};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

class Packages {
 public:
  Packages(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings) {}

  // Where the packages of a ref are kept.
  std::string mirror() const {
    return fmt::format(
        "{}/{}",
        store::mirror_directory(surroundings_.settings(), source_.kind, source_.original_url),
        sha256_hex(source_.ref_text()));
  }

  bool cached() const {
    std::error_code error;
    return !source_.ref_text().empty() && fs::is_directory(mirror(), error) &&
           !fs::is_empty(mirror(), error) && !error;
  }

  Result<std::optional<Found>> track() {
    const std::string directory = TRY(surroundings_.directory("packages"));
    std::vector<std::string> arguments;
    const std::vector<std::string> files = source_.config.get_strings("requirements-files");
    if (!files.empty()) {
      const std::string previous = TRY(previous_of(source_, surroundings_));
      for (const std::string& file : files)
        arguments.insert(arguments.end(), {"-r", TRY(file_in(previous, file))});
    }
    const std::vector<std::string> packages = source_.config.get_strings("packages");
    CHECK(add_packages(packages, arguments));
    CHECK(download(directory, arguments, "Failed to install python packages"));
    std::string ref;
    for (const auto& [name, version] : TRY(found_in(directory)))
      ref += fmt::format("{}{}=={}", ref.empty() ? "" : "\n", name, version);
    return std::optional(Found{model::Node::make_scalar(ref), ref});
  }

  Status fetch() {
    if (cached()) return {};
    const std::vector<std::string> packages = lines_of(source_.ref_text());
    std::string shown;
    for (const std::string& package : packages)
      shown += fmt::format("{}'{}'", shown.empty() ? "" : ", ", package);
    std::vector<std::string> arguments;
    CHECK(add_packages(packages, arguments));
    if (packages.empty())
      return source_error(source_, "bad-ref",
                          fmt::format("{}The ref names no packages", where(source_)));
    const std::string kept = mirror();
    CHECK(make_directories(kept.substr(0, kept.rfind('/'))));
    // What arrives lies beside its place first, so that it is whole there.
    const std::string partial = fmt::format("{}.{}.part", kept, ::getpid());
    CHECK(remove_tree(partial));
    CHECK(make_directories(partial));
    struct Remove {
      const std::string& path;
      ~Remove() { (void)remove_tree(path); }
    } remove{partial};
    CHECK(download(partial, arguments,
                   fmt::format("Failed to install python packages: [{}]", shown)));
    std::error_code error;
    // An empty directory is what somebody left who was ended.
    fs::remove(kept, error);
    if (::rename(partial.c_str(), kept.c_str()) != 0 && !cached()) return fail_errno(errno, kept);
    return {};
  }

  Result<model::Digest> stage() {
    CHECK(fetch());
    Step step(surroundings_, "Staging Python packages");
    auto files = TRY(store::import_tree(surroundings_.cas(), mirror(), {}));
    store::Tree tree(surroundings_.cas());
    CHECK(tree.merge(files, std::string(kStagedAs)));
    step.success();
    return tree.store(surroundings_.cas());
  }

 private:
  // A file of the sources before this one, by its name.
  Result<std::string> file_in(const std::string& directory, const std::string& name) const {
    std::error_code error;
    const fs::path top = fs::canonical(directory, error);
    const fs::path file = error ? fs::path() : fs::canonical(top / name, error);
    if (error || !fs::is_regular_file(file, error)) {
      return source_error(
          source_, "no-requirements",
          fmt::format("{}The sources before it have no file '{}'", where(source_), name));
    }
    if (name.starts_with('/') || !file.native().starts_with(top.native() + "/")) {
      return source_error(source_, "bad-path",
                          fmt::format("{}'{}' leads out of the sources", where(source_), name));
    }
    return file.native();
  }

  // What begins with a dash is an option to pip, which no package is.
  Status add_packages(const std::vector<std::string>& packages,
                      std::vector<std::string>& arguments) const {
    for (const std::string& package : packages) {
      if (package.starts_with('-'))
        return source_error(source_, "bad-package",
                            fmt::format("{}'{}' is no package", where(source_), package));
      arguments.push_back(package);
    }
    return {};
  }

  // The caller's environment, by which pip is configured, but for the index: that may have a
  // password in it, which an argument would show to everybody. Nobody is asked for anything.
  std::vector<std::string> environment() const {
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const std::string_view name =
          std::string_view(*variable).substr(0, std::string_view(*variable).find('='));
      if (name != "PIP_INDEX_URL" && name != "PIP_NO_INPUT" &&
          name != "PIP_DISABLE_PIP_VERSION_CHECK")
        out.emplace_back(*variable);
    }
    out.insert(out.end(), {"PIP_INDEX_URL=" + source_.url, "PIP_NO_INPUT=1",
                           "PIP_DISABLE_PIP_VERSION_CHECK=1"});
    return out;
  }

  Result<ToolRun> run(std::vector<std::string> argv, Duration silence) const {
    Tool tool;
    tool.argv = std::move(argv);
    tool.environment = environment();
    tool.errors = Tool::Errors::kWithOutput;
    tool.own_session = true;
    tool.silence = silence;
    return run_tool(tool, surroundings_.stop());
  }

  // The python of this machine whose pip downloads.
  Result<std::string> python() const {
    for (const std::string_view name : kPythons) {
      auto ended = run({std::string(name), "-m", "pip", "download", "--help"}, Duration::zero());
      if (!ended && ended.error().domain == "job") return forward(ended);
      if (ended && ended->status == 0) return std::string(name);
    }
    return source_error(source_, "no-pip",
                        fmt::format("{}Unable to find a suitable pip command", where(source_)),
                        "`python3 -m pip download` has to work: install pip for it.");
  }

  Status download(const std::string& directory, const std::vector<std::string>& arguments,
                  std::string_view failure) const {
    std::vector<std::string> argv = {TRY(python()), "-m",    "pip",    "download",
                                     "--no-binary", ":all:", "--dest", directory};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    std::string command;
    for (const std::string& word : argv) command += (command.empty() ? "" : " ") + word;
    surroundings_.log(fmt::format("Running host command, with the index {}: {}\n",
                                  without_credentials(source_.url), command));
    for (unsigned attempt = 1;; ++attempt) {
      auto ended = TRY(run(argv, std::chrono::seconds(surroundings_.settings().network_timeout)));
      surroundings_.log(ended.output);
      if (ended.status == 0) return {};
      constexpr std::size_t kMost = 4096;
      std::string detail = ended.output.size() > kMost
                               ? ended.output.substr(ended.output.size() - kMost)
                               : ended.output;
      auto error = fail("plugin", "", fmt::format("{}{}", where(source_), failure),
                        source_.provenance, without_credentials(detail));
      if (!ended.silent || attempt > surroundings_.settings().network_retries) return error;
      CHECK(surroundings_.wait_for_retry(attempt, error.value()));
    }
  }

  // Names and versions of the source distributions in a directory.
  static Result<std::vector<std::pair<std::string, std::string>>> found_in(
      const std::string& directory) {
    static const std::regex kSdist(
        R"(^([\w.-]+?)-([\d.]{2,})\.(?:tar|tar.bz2|tar.gz|tar.xz|tar.Z|zip)$)",
        std::regex::ECMAScript | std::regex::icase);
    std::vector<std::pair<std::string, std::string>> found;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
      const std::string name = entry.path().filename();
      std::smatch match;
      if (std::regex_match(name, match, kSdist)) found.emplace_back(match[1], match[2]);
    }
    if (error) return fail_errno(error.value(), directory);
    std::sort(found.begin(), found.end());
    return found;
  }

  const model::Source& source_;
  Surroundings& surroundings_;
};

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  return Packages(source, surroundings).track();
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return Packages(source, surroundings).cached();
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return Packages(source, surroundings).fetch();
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return Packages(source, surroundings).stage();
}

}  // namespace sluice::sources::pip
