// Files of cases as tests/differential/commands.py writes them, read by tests in C++: projects with
// a command and BuildStream's error, as in tests/golden/loader/broken. What such a file may hold
// besides (several commands, files written between them) is refused.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::testing {

struct Case {
  struct File {
    std::string path;  // below the project's directory
    std::string text;
  };
  std::string name;
  std::vector<File> files;
  std::vector<std::string> arguments;  // the command's, split at blanks: "show", "--option", ...
  // The error that is expected: "domain reason", reason "-" where there is none; "crash" where
  // BuildStream crashed.
  std::string error;
  std::string place;  // "FILE [line L column C]"; empty where BuildStream gives none

  // Writes the files below `directory`, which need not exist.
  void write(const std::filesystem::path& directory) const;
};

// Fails the running test, with file and line, at what it doesn't understand.
std::vector<Case> read_case_file(const std::filesystem::path& path);

}  // namespace sluice::testing
