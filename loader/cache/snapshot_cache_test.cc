#include "loader/cache/snapshot_cache.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

class Cached {
 public:
  Cached() { ::setenv("XDG_CACHE_HOME", (directory / "cache").c_str(), 1); }
  ~Cached() { ::unsetenv("XDG_CACHE_HOME"); }

  // Keeps an answer as if files were looked at `later` after they were last written: their stamps
  // can be trusted, or not.
  void keep(std::int64_t later = kHour, std::string_view body = "body") {
    SnapshotCache().keep(question, lookups, system_clock().wall_ns() + later, "head", body);
  }
  bool found() {
    const DigestLocal digest = [this](const std::string&) {
      return Result<model::Digest>(model::Digest{local, 1});
    };
    const auto answer = SnapshotCache().find(question, digest, digest);
    if (answer) CHECK((answer->head == "head" && answer->body == "body"));
    return answer.has_value();
  }
  std::string file() const { return (directory / "cache/sluice/loads/") + question; }

  TestDirectory directory;
  Lookups lookups;
  Arena arena;
  std::string local = "digest";
  const std::string question = SnapshotCache::question("test");
};

TEST_CASE("an answer is given again while nothing changed") {
  Cached cached;
  cached.directory.write("a.bst", "kind: stack\n");
  REQUIRE(cached.lookups.read(cached.arena, cached.directory / "a.bst"));
  CHECK_FALSE(cached.lookups.read(cached.arena, cached.directory / "absent.bst"));
  CHECK_FALSE(cached.lookups.exists(cached.directory / "absent.conf"));
  CHECK(cached.lookups.list(cached.directory / "sub").empty());
  cached.lookups.resolve(cached.directory / "a.bst");
  cached.lookups.note_local(cached.directory / "files", {"digest", 1});
  CHECK_FALSE(cached.found());
  const std::int64_t later = GENERATE(as<std::int64_t>{}, kHour, -kHour);
  cached.keep(later);
  REQUIRE(cached.found());
  REQUIRE(cached.found());

  SECTION("a file's content changed, its size and time did not") {
    struct stat before {};
    REQUIRE(::stat((cached.directory / "a.bst").c_str(), &before) == 0);
    cached.directory.write("a.bst", "kind: STACK\n");
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, (cached.directory / "a.bst").c_str(), times, 0) == 0);
    CHECK_FALSE(cached.found());
  }
  SECTION("a file was only touched") {
    cached.directory.write("a.bst", "kind: stack\n");
    CHECK(cached.found());
    CHECK(cached.found());
  }
  SECTION("a file that could not be read is there now") {
    cached.directory.write("absent.bst", "kind: stack\n");
    CHECK_FALSE(cached.found());
  }
  SECTION("a file that was absent is there now") {
    cached.directory.write("absent.conf", "");
    CHECK_FALSE(cached.found());
  }
  SECTION("a file is gone") {
    std::filesystem::remove(cached.directory / "a.bst");
    CHECK_FALSE(cached.found());
  }
  SECTION("a path is a link now") {
    std::filesystem::rename(cached.directory / "a.bst", cached.directory / "b.bst");
    std::filesystem::create_symlink("b.bst", cached.directory / "a.bst");
    CHECK_FALSE(cached.found());
  }
  SECTION("a directory has an entry more") {
    cached.directory.write("sub/new.bst", "");
    CHECK_FALSE(cached.found());
  }
  SECTION("a local source changed") {
    cached.local = "other";
    CHECK_FALSE(cached.found());
  }
}

TEST_CASE("what was looked up in the environment counts") {
  Cached cached;
  ::setenv("SLUICE_TEST_VALUE", "1", 1);
  CHECK(cached.lookups.environment("SLUICE_TEST_VALUE") == "1");
  cached.keep();
  CHECK(cached.found());
  ::setenv("SLUICE_TEST_VALUE", "", 1);
  CHECK_FALSE(cached.found());
  ::unsetenv("SLUICE_TEST_VALUE");
  CHECK_FALSE(cached.found());
}

TEST_CASE("a file of the cache that isn't whole is none") {
  Cached cached;
  cached.directory.write("a.bst", "kind: stack\n");
  REQUIRE(cached.lookups.read(cached.arena, cached.directory / "a.bst"));
  cached.keep();
  REQUIRE(cached.found());
  const std::string whole = *read_file(cached.file());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(write_file_atomic(cached.file(), whole.substr(0, size)));
    REQUIRE_FALSE(cached.found());
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    REQUIRE(write_file_atomic(cached.file(), damaged));
    REQUIRE_FALSE(cached.found());
  }
  REQUIRE(write_file_atomic(cached.file(), whole));
  CHECK(cached.found());
}

TEST_CASE("many may write and read one answer at a time") {
  Cached cached;
  cached.directory.write("a.bst", "kind: stack\n");
  REQUIRE(cached.lookups.read(cached.arena, cached.directory / "a.bst"));
  const std::int64_t now = system_clock().wall_ns() + kHour;
  std::atomic<int> wrong{0};
  std::atomic<int> hits{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        const DigestLocal none;
        for (int i = 0; i < 200; ++i) {
          const std::string body(static_cast<std::size_t>(1000 * (thread + 1)),
                                 static_cast<char>('a' + thread));
          SnapshotCache().keep(cached.question, cached.lookups, now, "head", body);
          const auto answer = SnapshotCache().find(cached.question, none, none);
          if (!answer) continue;
          ++hits;
          if (answer->body.size() % 1000 != 0 ||
              answer->body != std::string(answer->body.size(),
                                          static_cast<char>('a' + answer->body.size() / 1000 - 1)))
            ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(hits > 0);
}

TEST_CASE("what is kept has a limit, and what wasn't used goes first") {
  Cached cached;
  const KeptFiles files("limited", 100'000);
  files.write("first", std::string(30'000, 'x'));
  files.write("second", std::string(30'000, 'x'));
  // The first answer was used after the second.
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(cached.directory / "cache/sluice/limited/second", long_ago);
  REQUIRE(files.read("first"));
  files.write("third", std::string(45'000, 'x'));
  CHECK(files.read("first"));
  CHECK_FALSE(files.read("second"));
  CHECK(files.read("third"));
  files.write("too-large", std::string(60'000, 'x'));
  CHECK_FALSE(files.read("too-large"));
}

}  // namespace
}  // namespace sluice::loader
