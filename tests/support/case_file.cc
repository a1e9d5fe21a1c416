#include "tests/support/case_file.h"

#include <fstream>
#include <sstream>
#include <string_view>

#include <catch2/catch.hpp>

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

// "error DOMAIN REASON [FILE [line L column C]]", or "crash".
bool read_answer(const std::string& answer, Case& into) {
  if (answer == "crash") {
    into.error = answer;
    return true;
  }
  const std::vector<std::string> parts = words(answer);
  if ((parts.size() != 3 && parts.size() != 8) || parts[0] != "error") return false;
  into.error = parts[1] + " " + parts[2];
  if (parts.size() == 8)
    into.place = answer.substr(answer.find(into.error) + into.error.size() + 1);
  return true;
}

// What one line adds to the last case. False: not understood.
bool read_line(const std::string& mark, const std::string& rest, Case& into) {
  if (mark == "---") {
    into.files.push_back({rest, ""});
    return rest.find(' ') == std::string::npos && !rest.empty() && rest.back() != '/';
  }
  if (mark == "|" && !into.files.empty() && into.arguments.empty()) {
    into.files.back().text += rest + "\n";
    return true;
  }
  if (mark == "$" && into.arguments.empty()) {
    into.arguments = words(rest);
    return !into.arguments.empty();
  }
  if (mark == ">" && into.error.empty()) return read_answer(rest, into);
  return mark == ":";
}

}  // namespace

void Case::write(const fs::path& directory) const {
  for (const File& file : files) {
    const fs::path path = directory / file.path;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << file.text;
  }
}

std::vector<Case> read_case_file(const fs::path& path) {
  std::ifstream stream(path);
  REQUIRE(stream);
  std::vector<Case> cases;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.empty() || line.starts_with("# ")) continue;
    const std::size_t blank = line.find(' ');
    const std::string mark = line.substr(0, blank);
    const std::string rest = blank == std::string::npos ? "" : line.substr(blank + 1);
    INFO(path << ":" << number << ": " << line);
    if (mark == "===") {
      REQUIRE((cases.empty() || !cases.back().error.empty()));
      cases.push_back({rest, {}, {}, "", ""});
    } else {
      REQUIRE_FALSE(cases.empty());
      REQUIRE(read_line(mark, rest, cases.back()));
    }
  }
  REQUIRE_FALSE(cases.empty());
  REQUIRE_FALSE(cases.back().error.empty());
  return cases;
}

}  // namespace sluice::testing
