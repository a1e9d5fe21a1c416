#include "cli/session_prune.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/fd.h"
#include "tests/support/test_directory.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

class StateHome {
 public:
  StateHome() {
    if (const char* before = std::getenv("XDG_STATE_HOME")) before_ = before;
    ::setenv("XDG_STATE_HOME", root_.c_str(), 1);
  }
  ~StateHome() {
    if (before_.empty()) {
      ::unsetenv("XDG_STATE_HOME");
    } else {
      ::setenv("XDG_STATE_HOME", before_.c_str(), 1);
    }
  }

  fs::path of(int number) const {
    return root_ / "sluice/sessions" / fmt::format("20260101-0000{:02}-000-0000", number);
  }
  void add(int number, std::size_t bytes = 10) {
    fs::create_directories(of(number) / "snapshots");
    std::ofstream(of(number) / "lock");
    std::ofstream(of(number) / "snapshots/1") << std::string(bytes, 'x');
  }
  void age(int number, std::int64_t seconds) {
    const timespec times[2] = {{::time(nullptr) - seconds, 0}, {::time(nullptr) - seconds, 0}};
    REQUIRE(::utimensat(AT_FDCWD, of(number).c_str(), times, 0) == 0);
  }
  std::vector<int> left() const {
    std::vector<int> numbers;
    for (int i = 0; i < 100; ++i) {
      if (fs::exists(of(i))) numbers.push_back(i);
    }
    return numbers;
  }

 private:
  TestDirectory directory_;
  const fs::path root_ = directory_.str();
  std::string before_;
};

using Numbers = std::vector<int>;

TEST_CASE("The newest sessions are kept, by number (P14)") {
  StateHome home;
  CHECK(prune_sessions("") == 0);
  for (int i = 0; i < 6; ++i) home.add(i);
  CHECK(prune_sessions(home.of(5).filename().string(), {.count = 3, .surplus = 0}) == 2);
  CHECK(home.left() == Numbers{2, 3, 4, 5});
  CHECK(prune_sessions("", {.count = 0, .surplus = 0}) == 3);
  CHECK(home.left() == Numbers{5});
}

TEST_CASE("A few too many wait until they are some more") {
  StateHome home;
  for (int i = 0; i < 6; ++i) home.add(i);
  CHECK(prune_sessions("", {.count = 3, .surplus = 3}) == 0);
  home.add(6);
  CHECK(prune_sessions("", {.count = 3, .surplus = 3}) == 4);
  CHECK(home.left() == Numbers{4, 5, 6});
}

TEST_CASE("Old ones go, but for the newest (P14)") {
  StateHome home;
  for (int i = 0; i < 4; ++i) home.add(i);
  home.age(0, 2000);
  home.age(1, 100);
  CHECK(prune_sessions("", {.age_s = 1000}) == 1);
  CHECK(home.left() == Numbers{1, 2, 3});
  for (int i = 1; i < 4; ++i) home.age(i, 2000);
  CHECK(prune_sessions("", {.age_s = 1000}) == 2);
  CHECK(home.left() == Numbers{3});
}

TEST_CASE("They may take so much room together (P14)") {
  StateHome home;
  for (int i = 0; i < 4; ++i) home.add(i, 100'000);
  CHECK(prune_sessions("", {.bytes = 250'000}) == 2);
  CHECK(home.left() == Numbers{2, 3});
  CHECK(prune_sessions("", {.bytes = 1}) == 1);
  CHECK(home.left() == Numbers{3});
}

TEST_CASE("A living session is never touched, nor one that begins (P14)") {
  StateHome home;
  for (int i = 0; i < 4; ++i) home.add(i);
  UniqueFd lock(::open((home.of(0) / "lock").c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
  fs::remove(home.of(1) / "lock");  // as before its supervisor has made it
  CHECK(prune_sessions("", {.count = 1, .age_s = -10, .bytes = 0}) == 1);
  CHECK(home.left() == Numbers{0, 1, 3});
  lock.reset();
  CHECK(prune_sessions("", {.count = 1, .surplus = 0}) == 1);
  CHECK(home.left() == Numbers{1, 3});
}

TEST_CASE("One that died can be resumed, until it is old (P14)") {
  StateHome home;
  for (int i = 0; i < 4; ++i) home.add(i);
  for (int i : {0, 1}) std::ofstream(home.of(i) / "session.json") << "{\"state\":\"active\"}";
  std::ofstream(home.of(2) / "session.json") << "{\"state\":\"ended\"}";
  home.age(0, 2000);
  CHECK(prune_sessions("", {.count = 1, .age_s = 1000, .bytes = 0}) == 2);
  CHECK(home.left() == Numbers{1, 3});
}

}  // namespace
}  // namespace sluice::cli
