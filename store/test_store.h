// For store's unit tests: a store in a directory of its own.
#pragma once

#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "store/cas.h"
#include "tests/support/test_directory.h"

namespace sluice::store::test {

// Fails the test with the error's text.
template <typename R>
auto must(R result) {
  if (!result) FAIL(result.error().str());
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

template <typename R>
std::string reason(const R& result) {
  return result ? "" : result.error().domain + "/" + result.error().reason;
}

class Place {
 public:
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  Cas open(CasOptions options = {}) const { return must(Cas::open(path_ + "/cache", options)); }

  // Makes parents too.
  void file(const std::string& name, std::string_view content, mode_t mode = 0644) const {
    const std::string full = path_ + "/" + name;
    must(make_directories(full.substr(0, full.find_last_of('/'))));
    must(write_file_atomic(full, content));
    REQUIRE(::chmod(full.c_str(), mode) == 0);
  }
  void directory(const std::string& name) const { must(make_directories(path_ + "/" + name)); }
  void link(const std::string& name, const std::string& target) const {
    const std::string full = path_ + "/" + name;
    must(make_directories(full.substr(0, full.find_last_of('/'))));
    REQUIRE(::symlink(target.c_str(), full.c_str()) == 0);
  }

 private:
  TestDirectory directory_;
  const std::string path_ = directory_.str();
};

inline struct stat status(const std::string& path) {
  struct stat info {};
  INFO(path);
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info;
}

}  // namespace sluice::store::test
