// A directory for a test's files, which goes with it, whatever is in it.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/stat.h>

#include "base/file.h"

namespace sluice {

class TestDirectory {
 public:
  // `mode`: others may need to get in. The name is short, since a socket's path has 107 bytes.
  explicit TestDirectory(mode_t mode = 0700) {
    std::string name = (std::filesystem::temp_directory_path() / "slt-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr || ::chmod(name.c_str(), mode) != 0)
      throw std::system_error(errno, std::generic_category(), name);
    path_ = std::filesystem::canonical(name).string();
  }
  ~TestDirectory() { (void)remove_tree(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::string& str() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Makes the directories above the file, too.
  void write(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = *this / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

 private:
  std::string path_;
};

}  // namespace sluice
