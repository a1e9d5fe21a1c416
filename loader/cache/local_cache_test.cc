#include "loader/cache/local_cache.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file_stamp.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

namespace fs = std::filesystem;

// A clock for files of a test, which have just been written: by it that was an hour ago, or is now.
class Later final : public Clock {
 public:
  Duration monotonic() const override { return system_clock().monotonic(); }
  std::int64_t wall_ns() const override {
    return at_ns != 0 ? at_ns : system_clock().wall_ns() + 3'600'000'000'000;
  }
  std::int64_t at_ns = 0;  // in the time of the files, it stands still
};

const auto always = [](const model::Digest&) { return true; };

class Tree : public TestDirectory {
 public:
  Tree() {
    ::setenv("XDG_CACHE_HOME", (*this / "cache").c_str(), 1);
    write("tree/a", "one");
    write("tree/sub/b", "two");
    write("tree/sub/deeper/c", "three");
    fs::create_symlink("a", *this / "tree/link");
  }
  ~Tree() { ::unsetenv("XDG_CACHE_HOME"); }

  // Whether the tree had to be hashed.
  bool hashes(LocalCache& cache, const std::string& name = "tree") const {
    bool made = false;
    const auto digest = cache.digest(*this / name, always, [&](KnownFiles*) {
      made = true;
      return Result<model::Digest>(model::Digest{std::string(64, 'd'), 7});
    });
    REQUIRE(digest);
    CHECK(digest->hash == std::string(64, 'd'));
    CHECK(digest->size == 7);
    return made;
  }

  // Whether it has to be hashed by the next load.
  bool hashes() const {
    LocalCache cache("/project", clock);
    const bool made = hashes(cache);
    cache.save();
    return made;
  }

  FileStamp stamp(const std::string& name) const {
    struct stat info {};
    REQUIRE(::stat((*this / name).c_str(), &info) == 0);
    return FileStamp::of(info);
  }

  // Sets the clock so long after the last change of a file.
  void wait(const std::string& name, std::int64_t ns) { clock.at_ns = stamp(name).ctime_ns + ns; }

  Later clock;
};

TEST_CASE("a local source is hashed again only when something in it has changed") {
  const Tree tree;
  CHECK(tree.hashes());
  CHECK_FALSE(tree.hashes());
  const auto changed = [&](const char* what) {
    INFO(what);
    CHECK(tree.hashes());
    CHECK_FALSE(tree.hashes());
  };
  tree.write("tree/sub/deeper/c", "longer than before");
  changed("content");
  tree.write("tree/sub/new", "");
  changed("a new file");
  fs::remove(tree / "tree/sub/new");
  changed("a file less");
  fs::rename(tree / "tree/a", tree / "tree/z");
  changed("another name");
  REQUIRE(::chmod((tree / "tree/z").c_str(), 0755) == 0);
  changed("executable");
  fs::remove(tree / "tree/link");
  fs::create_symlink("b", tree / "tree/link");
  changed("another target");
  fs::create_directory(tree / "tree/empty");
  changed("an empty directory");
  fs::rename(tree / "tree", tree / "old");
  fs::copy(tree / "old", tree / "tree",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  changed("a copy in its place");
}

TEST_CASE("content that changes under its old size and mtime shows") {
  const Tree tree;
  CHECK(tree.hashes());
  struct stat info {};
  REQUIRE(::stat((tree / "tree/a").c_str(), &info) == 0);
  tree.write("tree/a", "eno");
  const struct timespec times[2] = {info.st_atim, info.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, (tree / "tree/a").c_str(), times, 0) == 0);
  CHECK(tree.hashes());
}

TEST_CASE("what has just been changed is not relied upon") {
  Tree tree;
  struct stat info {};
  do {
    tree.write("tree/last", "x");
    REQUIRE(::stat((tree / "tree/last").c_str(), &info) == 0);
  } while (info.st_ctim.tv_nsec == 0);
  tree.wait("tree/last", 1'000'000);
  CHECK(tree.hashes());
  CHECK(tree.hashes());
  tree.wait("tree/last", 100'000'000);
  CHECK(tree.hashes());
  CHECK_FALSE(tree.hashes());
  // The stamp of a file of the future can't be trusted either.
  tree.clock.at_ns = 0;
  const struct timespec times[2] = {{0, UTIME_NOW}, {32'503'680'000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (tree / "tree/a").c_str(), times, 0) == 0);
  CHECK(tree.hashes());
  CHECK(tree.hashes());
}

TEST_CASE("what changes while it is hashed is not kept") {
  const Tree tree;
  LocalCache cache("/project", tree.clock);
  const auto digest = cache.digest(tree / "tree", always, [&](KnownFiles*) {
    tree.write("tree/late", "x");
    return Result<model::Digest>(model::Digest{std::string(64, 'e'), 1});
  });
  REQUIRE(digest);
  CHECK(tree.hashes(cache));
}

TEST_CASE("a single file is a local source too, a link or nothing is none") {
  const Tree tree;
  LocalCache cache("/project", tree.clock);
  CHECK(tree.hashes(cache, "tree/a"));
  CHECK_FALSE(tree.hashes(cache, "tree/a"));
  REQUIRE(::chmod((tree / "tree/a").c_str(), 0755) == 0);
  CHECK(tree.hashes(cache, "tree/a"));
  for (const char* name : {"tree/link", "tree/absent"}) {
    CHECK(tree.hashes(cache, name));
    CHECK(tree.hashes(cache, name));
  }
  const auto failed = cache.digest(tree / "tree", always, [](KnownFiles*) {
    return Result<model::Digest>(fail("virtual-fs", "bad-name", "no"));
  });
  CHECK_FALSE(failed);
  CHECK(tree.hashes(cache));
}

TEST_CASE("a damaged file of digests is none, another build's neither") {
  const Tree tree;
  CHECK(tree.hashes());
  fs::path kept;
  for (const auto& file : fs::directory_iterator(tree / "cache/sluice/locals")) kept = file.path();
  REQUIRE_FALSE(kept.empty());
  std::ifstream stream(kept, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(stream)), {});
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    std::ofstream(kept, std::ios::binary) << whole.substr(0, size);
    LocalCache cache("/project", tree.clock);
    REQUIRE(tree.hashes(cache));
  }
  for (std::size_t at = 0; at < whole.size(); at += 5) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    std::ofstream(kept, std::ios::binary) << damaged;
    LocalCache cache("/project", tree.clock);
    REQUIRE(tree.hashes(cache));
  }
  std::ofstream(kept, std::ios::binary) << whole;
  CHECK_FALSE(tree.hashes());
}

TEST_CASE("A digest that is of no use any more is made again") {
  const Tree tree;
  REQUIRE(tree.hashes());
  LocalCache cache("/project", tree.clock);
  bool made = false;
  const auto digest = cache.digest(
      tree / "tree", [](const model::Digest&) { return false; },
      [&](KnownFiles*) {
        made = true;
        return Result<model::Digest>(model::Digest{std::string(64, 'e'), 8});
      });
  REQUIRE(digest);
  CHECK(made);
  CHECK(digest->size == 8);
}

TEST_CASE("Of a tree with many files only what changed is read") {
  Tree tree;
  constexpr int kCount = 100;
  for (int i = 0; i < kCount; ++i) tree.write(fmt::format("tree/many/{}", i), std::to_string(i));
  // The files that were asked for and not known.
  const auto read = [&] {
    std::vector<std::string> missed;
    struct Counting : store::KnownTree {
      Counting(store::KnownTree& of, std::vector<std::string>& names) : under(of), missed(names) {}
      const store::LookedTree& looked() const override { return under.looked(); }
      void find(const std::string& folder, const store::LookedFolder& in,
                std::vector<store::FileNode>& files) override {
        under.find(folder, in, files);
        for (const store::FileNode& file : files) {
          if (file.digest.hash.empty()) missed.push_back(folder + "/" + file.name);
        }
      }
      void keep(const std::string& folder, const store::LookedFolder& in,
                const std::vector<store::FileNode>& files) override {
        under.keep(folder, in, files);
      }
      store::KnownTree& under;
      std::vector<std::string>& missed;
    };
    LocalCache cache("/project", tree.clock);
    const auto digest = cache.by_files(tree / "tree", [&](KnownFiles* known) {
      Counting counting(*known, missed);
      return store::hash_tree(tree / "tree", {.threads = 1, .known = &counting});
    });
    REQUIRE(digest);
    CHECK(*digest == *store::hash_tree(tree / "tree"));
    return missed;
  };
  CHECK(read().size() == kCount + 3);
  CHECK(read().empty());
  tree.write("tree/many/7", "another");
  CHECK(read() == std::vector<std::string>{"many/7"});
  CHECK(read().empty());
  fs::remove(tree / "tree/many/8");
  fs::rename(tree / "tree/many/9", tree / "tree/many/8");
  CHECK(read() == std::vector<std::string>{"many/8"});
  // A file that has just been written may change again without its looks. All others have settled
  // by then.
  do {
    tree.write("tree/many/7", "a third");
  } while (tree.stamp("tree/many/7").ctime_ns <= tree.stamp("tree/many/8").settles_ns());
  tree.wait("tree/many/7", 1'000'000);
  // The file that was renamed before may be as young.
  const auto reads_it = [&] {
    const auto missed = read();
    return std::find(missed.begin(), missed.end(), "many/7") != missed.end();
  };
  CHECK(reads_it());
  CHECK(reads_it());
}

TEST_CASE("threads and loads at the same time") {
  const Tree tree;
  constexpr int kCount = 40;
  for (int i = 0; i < kCount; ++i) tree.write(fmt::format("many/{}/f", i), std::to_string(i));
  const auto load_all = [&](LocalCache& cache) {
    std::atomic<int> made{0};
    for (int i = 0; i < kCount; ++i) {
      const auto digest = cache.digest(tree / fmt::format("many/{}", i), always, [&](KnownFiles*) {
        ++made;
        return Result<model::Digest>(
            model::Digest{std::string(64, static_cast<char>('a' + i % 6)), i});
      });
      if (!digest || digest->size != i) return -1;
    }
    return made.load();
  };
  std::atomic<bool> wrong{false};
  {
    LocalCache cache("/project", tree.clock);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        if (load_all(cache) < 0) wrong = true;
        LocalCache own("/project", tree.clock);
        if (load_all(own) < 0) wrong = true;
        own.save();
        cache.save();
      });
    }
  }
  CHECK_FALSE(wrong);
  LocalCache cache("/project", tree.clock);
  CHECK(load_all(cache) == 0);
}

}  // namespace
}  // namespace sluice::loader
