// Whole projects, for libFuzzer (preset `fuzz`) and for replay_main.cc: composition, includes,
// conditionals, options, variables, kinds and keys. The input is the project's files, each after
// a line "==== NAME"; what comes before the first is project.conf. Names lead nowhere else:
// those that could are left out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "loader/loader.h"
#include "tests/support/test_directory.h"

using namespace sluice;

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "\n==== ";

void check(bool holds) {
  if (!holds) std::abort();
}

// A directory that is there for as long as the process.
class Place {
 public:
  Place() {
    directory_.write("user.conf", "");
    // No caches: an input is an input.
    ::setenv("XDG_CACHE_HOME", "/proc/none", 1);
  }

  fs::path project() const { return directory_ / "project"; }
  std::string configuration() const { return directory_ / "user.conf"; }

 private:
  TestDirectory directory_;
};

bool harmless(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '/' ||
      name.find("..") != std::string_view::npos)
    return false;
  for (const char c : name) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '/' && c != '.' && c != '-' &&
        c != '_')
      return false;
  }
  return name.back() != '/' && name.find("//") == std::string_view::npos;
}

void write_file(const fs::path& project, std::string_view name, std::string_view text) {
  if (!harmless(name)) return;
  std::error_code error;
  const fs::path path = project / name;
  fs::create_directories(path.parent_path(), error);
  if (!error) std::ofstream(path, std::ios::binary) << text;
}

void write_project(const fs::path& project, std::string_view rest) {
  std::error_code error;
  fs::remove_all(project, error);
  fs::create_directories(project, error);
  std::string_view name = "project.conf";
  int files = 0;
  while (files++ < 64) {
    const std::size_t end = rest.find(kMark);
    write_file(project, name, rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + kMark.size());
    const std::size_t line = rest.find('\n');
    name = rest.substr(0, line);
    rest.remove_prefix(line == std::string_view::npos ? rest.size() : line + 1);
  }
}

bool is_key(std::string_view key) {
  return key.empty() ||
         (key.size() == 64 && key.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Place place;
  write_project(place.project(), std::string_view(reinterpret_cast<const char*>(data), size));
  loader::LoadRequest request;
  request.directory = place.project();
  request.targets = {"target.bst"};
  request.config = place.configuration();
  loader::LoadHooks hooks;
  hooks.digest_local = [](const std::string&) {
    return Result<model::Digest>(model::Digest{std::string(64, '0'), 1});
  };
  hooks.digest_workspace = hooks.digest_local;
  const auto answer = loader::load(request, hooks);
  if (!answer) {
    check(!answer.error().domain.empty() && !answer.error().message.empty());
    return 0;
  }
  if (const auto* loaded = std::get_if<loader::LoadedSnapshot>(&*answer)) {
    check(!loaded->snapshot.elements.empty() && loaded->snapshot.targets.size() == 1);
    for (const model::Element& element : loaded->snapshot.elements) {
      check(is_key(element.keys.weak) && is_key(element.keys.strict) && is_key(element.keys.full));
    }
  }
  return 0;
}
