// What BuildStream 2.8.1 says of the projects below tests/golden/loader, against what the loader
// says: L2 (an error's place) and L5 (the order of the pipeline) of spec/snapshot.md among it. See
// the README.md there.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "loader/loader.h"
#include "loader/yaml.h"
#include "store/cas.h"
#include "store/directory.h"
#include "store/tree.h"
#include "tests/support/case_file.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = SLUICE_GOLDEN_DIR;

LoadHooks hooks() {
  LoadHooks hooks;
  hooks.digest_local = [](const std::string& path) -> Result<model::Digest> {
    if (fs::is_directory(path)) return store::hash_tree(path);
    return store::hash_file_as_tree(path, fs::path(path).filename().string());
  };
  hooks.digest_workspace = [](const std::string& path) -> Result<model::Digest> {
    TestDirectory directory;
    store::Cas cas = std::move(*store::Cas::open(directory.str()));
    store::Tree tree(cas);
    if (auto merged = tree.merge(*store::import_tree(cas, path, {.mtime = true}), ""); !merged)
      return forward(merged);
    return tree.digest();
  };
  // Stages a junction as BuildStream fetches and unpacks its sources.
  hooks.stage_junction = [](const ResolvedElement& junction,
                            const std::string& directory) -> Result<bool> {
    for (const model::Source& source : junction.body->sources) {
      const std::string file = source.url.substr(std::string_view("file://").size());
      REQUIRE(
          std::system(fmt::format("tar -x -C '{}' --strip-components=1 -f '{}'", directory, file)
                          .c_str()) == 0);
    }
    return true;
  };
  return hooks;
}

std::string read(const fs::path& path) {
  auto text = read_file(path.string());
  REQUIRE(text);
  return *text;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

LoadRequest request_for(const fs::path& project) {
  LoadRequest request;
  request.directory = project.string();
  request.config =
      (fs::exists(project / "user.conf") ? project / "user.conf" : kGolden / "user.conf").string();
  return request;
}

// Sets the times of files to fixed ones, since keys of workspaces depend on them.
void touch(const fs::path& directory) {
  const timespec times[2] = {{1600000000, 0}, {1600000000, 0}};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    REQUIRE(::utimensat(AT_FDCWD, entry.path().c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
  }
}

// Whether loading writes to a project, which is copied first then: those with what a junction's
// project is made of.
bool is_written_to(const fs::path& project) {
  for (const fs::directory_entry& file : fs::directory_iterator(project)) {
    if (file.path().extension() == ".tar" || file.path().filename() == ".bst2") return true;
  }
  return false;
}

// Fills the request; says whether everything is to be described, or keys alone.
bool read_request(const fs::path& path, LoadRequest& request) {
  bool everything = true;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(':');
    REQUIRE(colon != std::string::npos);
    const std::string key = line.substr(0, colon);
    const std::vector<std::string> values = words(line.substr(colon + 1));
    if (key == "targets") {
      request.targets = values;
    } else if (key == "except") {
      request.except = values;
    } else if (key == "option") {
      request.options.emplace_back(values.at(0), values.at(1));
    } else if (key == "touch") {
      for (const std::string& name : values) touch(path.parent_path() / name);
    } else if (key == "strict") {
      request.overrides.strict = values.at(0) == "true";
    } else if (key == "show") {
      everything = values.at(0) != "keys";
    } else if (key == "deps") {
      static const std::vector<std::string> kDeps = {"none", "run", "build", "all"};
      request.deps =
          static_cast<Deps>(std::find(kDeps.begin(), kDeps.end(), values.at(0)) - kDeps.begin());
    } else {
      FAIL("unknown line in " << path << ": " << line);
    }
  }
  return everything;
}

std::vector<std::string> dependency_names(const LoadedSnapshot& loaded,
                                          const model::Element& element, bool build, bool runtime) {
  std::vector<std::string> names;
  const auto add = [&](const model::Dependency& dependency) {
    const std::string& name = loaded.snapshot.elements[dependency.element].full_name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const model::Dependency& dependency : element.dependencies) {
    if (build && dependency.build) add(dependency);
  }
  for (const model::Dependency& dependency : element.dependencies) {
    if (runtime && dependency.runtime) add(dependency);
  }
  return names;
}

std::string one_line(const std::string& text) {
  std::string line;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part);) line += (line.empty() ? "" : " ") + part;
  return line;
}

std::string describe(const LoadedSnapshot& loaded, model::ElementIndex index, bool everything) {
  const auto known = [](const std::string& key) { return key.empty() ? std::string("None") : key; };
  const model::Element& element = loaded.snapshot.elements[index];
  const model::ElementBody& body = loaded.bodies[index];
  std::string text = fmt::format("=== {} {}\n", element.full_name, element.kind);
  text += fmt::format("full-key: {}\n",
                      element.keys.full.empty() ? std::string(64, '?') : element.keys.full);
  text += fmt::format("weak-key: {}\nstrict-key: {}\n", known(element.keys.weak),
                      known(element.keys.strict));
  if (element.has_sources) text += fmt::format("sources-key: {}\n", known(element.sources_key));
  // BuildStream makes no keys behind a source that has no ref.
  bool resolved = true;
  for (const model::Source& source : body.sources) {
    resolved =
        resolved && (!source.key.empty() || element.obstacle(model::Obstacle::To::kKey) != nullptr);
    text += fmt::format("source-key: {} {}\n", source.kind, known(resolved ? source.key : ""));
  }
  if (!everything) return text;
  text += fmt::format("description: {}\n", one_line(body.description));
  text += "--- vars\n" + yaml::dump(body.variables);
  text += "--- env\n" + yaml::dump(body.environment);
  text += "--- config\n" + yaml::dump(body.config);
  text += "--- public\n" + yaml::dump(body.public_data);
  text += "--- deps\n" + yaml::dump(dependency_names(loaded, element, true, true));
  text += "--- build-deps\n" + yaml::dump(dependency_names(loaded, element, true, false));
  text += "--- runtime-deps\n" + yaml::dump(dependency_names(loaded, element, false, true));
  return text;
}

// An error's words in one line, without directories of this machine.
std::string one_line(std::string text, const std::string& directory) {
  for (std::size_t at; (at = text.find(directory)) != std::string::npos;)
    text.replace(at, directory.size(), "DIR");
  return fmt::format("{}", fmt::join(words(text), " "));
}

// The first difference of two texts. Catch would print both of them, which helps nobody at 150 KB.
std::string first_difference(const std::string& expected, const std::string& actual) {
  std::istringstream a(expected);
  std::istringstream b(actual);
  std::string section;
  for (int line = 1;; ++line) {
    std::string left;
    std::string right;
    const bool more_left = static_cast<bool>(std::getline(a, left));
    const bool more_right = static_cast<bool>(std::getline(b, right));
    if (!more_left && !more_right) return "";
    if (left.starts_with("===")) section = left;
    if (left != right || more_left != more_right) {
      std::size_t at = 0;
      while (at < left.size() && at < right.size() && left[at] == right[at]) ++at;
      const std::size_t from = at > 40 ? at - 40 : 0;
      return fmt::format("line {} ({}), from character {}:\n  expected: {}\n  actual:   {}", line,
                         section, from, left.substr(from, 160), right.substr(from, 160));
    }
  }
}

int check_project(const fs::path& original) {
  int requests = 0;
  TestDirectory copy;
  fs::path project = original;
  if (is_written_to(original)) {
    project = fs::path(copy.str()) / "project";
    fs::copy(original, project, fs::copy_options::recursive);
  }
  for (const fs::directory_entry& file : fs::directory_iterator(project)) {
    if (file.path().extension() != ".request") continue;
    ++requests;
    INFO(original.filename() / file.path().filename());
    LoadRequest request = request_for(project);
    const bool everything = read_request(file.path(), request);
    auto answer = load(request, hooks());
    if (!answer) {
      FAIL_CHECK(answer.error().str());
      continue;
    }
    const LoadedSnapshot& loaded = std::get<LoadedSnapshot>(*answer);
    std::string text;
    for (const model::ElementIndex index : loaded.selection) {
      text += describe(loaded, index, everything);
      const model::Element& element = loaded.snapshot.elements[index];
      INFO(element.full_name);
      CHECK(element.obstacle(model::Obstacle::To::kKey) == nullptr);
      CHECK(element.unsupported_by == 0);
    }
    std::vector<std::string> warnings = loaded.snapshot.warnings;
    for (std::string& warning : warnings) warning = one_line(warning, project.string());
    std::sort(warnings.begin(), warnings.end());
    for (const std::string& warning : warnings) text += fmt::format("=== warning: {}\n", warning);
    const std::string expected = read(fs::path(file.path()).replace_extension(".expected"));
    CHECK(first_difference(expected, text) == "");
    // Dependencies come before what depends on them, on which whoever schedules relies.
    for (model::ElementIndex i = 0; i < loaded.snapshot.elements.size(); ++i) {
      for (const model::Dependency& dependency : loaded.snapshot.elements[i].dependencies)
        REQUIRE(dependency.element < i);
    }
  }
  return requests;
}

TEST_CASE("projects load as BuildStream loads them") {
  int requests = 0;
  for (const fs::directory_entry& project : fs::directory_iterator(kGolden)) {
    if (!project.is_directory() || project.path().filename() == "broken") continue;
    requests += check_project(project.path());
  }
  CHECK(requests >= 24);
}

// The command of a case: show [--option NAME VALUE]... TARGET...
void read_arguments(const std::vector<std::string>& arguments, LoadRequest& request) {
  REQUIRE(arguments.at(0) == "show");
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--option") {
      request.options.emplace_back(arguments.at(i + 1), arguments.at(i + 2));
      i += 2;
    } else {
      REQUIRE_FALSE(arguments[i].starts_with("-"));
      request.targets.push_back(arguments[i]);
    }
  }
}

std::string place_of(const Error& error, const std::string& directory) {
  return fmt::format("{} [line {} column {}]", one_line(error.provenance.file, directory),
                     error.provenance.line, error.provenance.column);
}

void check_broken(const testing::Case& broken) {
  TestDirectory directory;
  const fs::path project = fs::path(directory.str()) / "project";
  broken.write(project);
  LoadRequest request = request_for(project);
  read_arguments(broken.arguments, request);
  const auto answer = load(request, hooks());
  REQUIRE_FALSE(answer);
  const Error& error = answer.error();
  INFO(error.str());
  CHECK_FALSE(error.message.empty());
  if (broken.error == "crash") {
    CHECK(error.domain == "load");
    CHECK(error.provenance.line > 0);
    return;
  }
  CHECK(fmt::format("{} {}", error.domain, error.reason.empty() ? "-" : error.reason) ==
        broken.error);
  if (!broken.place.empty()) CHECK(place_of(error, project.string()) == broken.place);
}

TEST_CASE("broken projects fail as BuildStream fails on them") {
  int projects = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(kGolden / "broken")) {
    for (const testing::Case& broken : testing::read_case_file(file)) {
      ++projects;
      INFO(file.path().filename() << ": " << broken.name);
      check_broken(broken);
    }
  }
  CHECK(projects >= 417);
}

}  // namespace
}  // namespace sluice::loader
