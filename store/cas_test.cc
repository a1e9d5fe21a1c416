#include "store/cas.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "base/sha256.h"
#include "store/check.h"
#include "store/complete.h"
#include "store/test_store.h"
#include "store/tree.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;
using test::status;

void set_atime(const std::string& path, std::int64_t seconds) {
  const timespec times[2] = {{seconds, 0}, {0, UTIME_OMIT}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

// Changes what an object holds behind the store's back.
void damage(const std::string& path, std::string_view content) {
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_TRUNC));
  REQUIRE(fd);
  must(write_all(fd.get(), content));
}

TEST_CASE("A blob lies where casd keeps it: mode 0444, mtime fixed, one link") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(cas.add("hello\n"));
  CHECK(digest.hash == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  CHECK(digest.size == 6);
  const std::string path = place / "cache/cas/objects/58/91b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
  CHECK(cas.object_path(digest) == path);
  const auto info = status(path);
  CHECK((info.st_mode & 07777) == 0444);
  CHECK(info.st_mtim.tv_sec == kFixedMtime);
  CHECK(info.st_mtim.tv_nsec == 0);
  CHECK(info.st_nlink == 1);
  CHECK(must(cas.read(digest)) == "hello\n");
  CHECK(cas.contains(digest));
}

TEST_CASE("Files of any size enter the store; what isn't a regular file doesn't") {
  Place place;
  Cas cas = place.open();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20, (std::size_t{3} << 20) + 17}) {
    const std::string content(size, 'x');
    place.file("f", content);
    const Digest digest = must(cas.add_file(place / "f"));
    CHECK(digest.size == static_cast<std::int64_t>(size));
    CHECK(digest.hash == sha256_hex(content));
    CHECK(must(cas.read(digest)) == content);
    CHECK(status(place / "f").st_nlink == 1);
    CHECK((status(cas.object_path(digest)).st_mode & 07777) == 0444);
  }
  place.directory("d");
  CHECK(reason(cas.add_file(place / "d")) == "cas/not-a-file");
  REQUIRE(::mkfifo((place / "fifo").c_str(), 0644) == 0);
  CHECK(reason(cas.add_file(place / "fifo")) == "cas/not-a-file");
  CHECK(reason(cas.add_file(place / "absent")) == "util/enoent");
}

TEST_CASE("A file that is given away becomes the object itself, unless it can't") {
  Place place;
  Cas cas = place.open();
  const auto inode = [](const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_ino;
  };
  const auto take = [&](const std::string& name) {
    const UniqueFd fd(::open((place / name).c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    return must(cas.take(AT_FDCWD, place / name, fd.get()));
  };
  place.file("plain", "content", 04755);
  const auto number = inode(place / "plain");
  const Digest digest = take("plain");
  CHECK(digest == digest_of("content"));
  CHECK(inode(cas.object_path(digest)) == number);
  CHECK_FALSE(path_exists(place / "plain"));
  struct stat info {};
  REQUIRE(::stat(cas.object_path(digest).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0444);
  CHECK(info.st_mtime == kFixedMtime);
  CHECK(cas.verify(digest));

  // There already: the file stays.
  place.file("again", "content");
  CHECK(take("again") == digest);
  CHECK(path_exists(place / "again"));
  CHECK(inode(cas.object_path(digest)) == number);

  // Two names, or attributes: copied, since the store's inodes are the store's alone.
  place.file("one", "linked");
  REQUIRE(::link((place / "one").c_str(), (place / "two").c_str()) == 0);
  const Digest linked = take("one");
  CHECK(inode(cas.object_path(linked)) != inode(place / "two"));
  place.file("marked", "attributes");
  if (::setxattr((place / "marked").c_str(), "user.test", "x", 1, 0) == 0) {
    const Digest marked = take("marked");
    CHECK(inode(cas.object_path(marked)) != inode(place / "marked"));
  }
}

TEST_CASE("A digest from outside is never made a path unless it is one") {
  Place place;
  Cas cas = place.open();
  const std::string h = sha256_hex("");
  for (const std::string& hash : {std::string("../../../../etc/passwd"), std::string(), std::string(64, 'A'), h.substr(1),
                                  h + "0", std::string("/") + h.substr(1), h.substr(0, 63) + std::string(1, '\0')}) {
    CHECK_FALSE(valid_digest({hash, 0}));
    CHECK_FALSE(cas.contains({hash, 0}));
    CHECK(reason(cas.read({hash, 0})) == "cas/bad-digest");
    CHECK(reason(cas.open_blob({hash, 0})) == "cas/bad-digest");
    CHECK(reason(cas.verify({hash, 0})) == "cas/bad-digest");
    CHECK(reason(cas.remove({hash, 0})) == "cas/bad-digest");
  }
  CHECK_FALSE(valid_digest({h, -1}));
}

TEST_CASE("A size that lies, an object cut short, a link in an object's place count as missing") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(cas.add("content"));
  Digest lie = digest;
  lie.size = 8;
  CHECK_FALSE(cas.contains(lie));
  CHECK(reason(cas.read(lie)) == "cas/missing-blob");
  CHECK(reason(cas.open_blob(lie)) == "cas/missing-blob");

  damage(cas.object_path(digest), "cont");
  CHECK_FALSE(cas.contains(digest));
  CHECK(reason(cas.read(digest)) == "cas/missing-blob");
  CHECK(must(cas.add("content")) == digest);  // adding it again mends it
  CHECK(must(cas.read(digest)) == "content");

  place.file("secret", "content");
  REQUIRE(::unlink(cas.object_path(digest).c_str()) == 0);
  REQUIRE(::symlink((place / "secret").c_str(), cas.object_path(digest).c_str()) == 0);
  CHECK_FALSE(cas.contains(digest));
  CHECK(reason(cas.read(digest)) == "cas/missing-blob");
}

TEST_CASE("verify() finds wrong content; with verify_on_read such an object is missing and removed") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(cas.add("content"));
  CHECK(cas.verify(digest));
  damage(cas.object_path(digest), "CONTENT");
  CHECK(reason(cas.verify(digest)) == "cas/corrupt-blob");
  CHECK(must(cas.read(digest)) == "CONTENT");  // not asked to look

  Cas strict = place.open({.verify_on_read = true});
  SECTION("read") { CHECK(reason(strict.read(digest)) == "cas/missing-blob"); }
  SECTION("open_blob") { CHECK(reason(strict.open_blob(digest)) == "cas/missing-blob"); }
  CHECK_FALSE(path_exists(cas.object_path(digest)));
}

TEST_CASE("Using a blob renews its access time and leaves its modification time") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(cas.add("x"));
  const std::string path = cas.object_path(digest);
  set_atime(path, 1000);
  SECTION("touch") { CHECK(cas.touch(digest)); }
  SECTION("add") { CHECK(must(cas.add("x")) == digest); }
  SECTION("a tree that is asked for") {
    Tree tree(cas);
    must(tree.put_file("a", digest, false));
    const Digest root = must(tree.store(cas));
    CHECK(Completeness(cas).tree(root));
  }
  CHECK(status(path).st_atim.tv_sec > 1000);
  CHECK(status(path).st_mtim.tv_sec == kFixedMtime);
}

TEST_CASE("Many threads and stores write the same blobs at once") {
  Place place;
  Cas one = place.open();
  Cas two = place.open();
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Cas& cas = t % 2 == 0 ? one : two;
      for (int i = 0; i < 200; ++i) {
        const std::string content = fmt::format("blob {}", i);
        const auto digest = cas.add(content);
        if (!digest || !cas.contains(*digest) || cas.read(*digest) != content) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  const auto report = must(verify_all(one));
  CHECK(report.objects == 200);
  CHECK(report.good());
}

TEST_CASE("Temporary files of the living stay, those of the dead are swept") {
  Place place;
  Cas cas = place.open();
  const std::string mine = cas.temporary_name();
  must(write_file_atomic(mine, "mine"));
  place.file("cache/sluice/tmp/99999999-0/dead", "half of a blob");
  CHECK(must(cas.sweep_temporary()) == 1);
  CHECK(path_exists(mine));
  CHECK_FALSE(path_exists(place / "cache/sluice/tmp/99999999-0"));
}

TEST_CASE("The limiter of syncs allows ten a second") {
  SyncLimiter limiter;
  int allowed = 0;
  for (std::int64_t ms = 0; ms < 1000; ++ms) allowed += limiter.allow(ms * 1'000'000) ? 1 : 0;
  CHECK(allowed == 10);
  Place place;
  Cas cas = place.open();
  must(cas.add("x"));
  CHECK(cas.sync());
  CHECK(path_exists(place / "cache/sluice/synced"));
}

TEST_CASE("What is known to be whole is remembered between processes while nothing moves") {
  Place place;
  Cas cas = place.open();
  Tree tree(cas);
  const Digest blob = must(cas.add("x"));
  must(tree.put_file("d/a", blob, false));
  const Digest root = must(tree.store(cas));
  // As if all this had been a while ago: timestamps of directories have ticks.
  const auto age = [&] {
    for (int i = -1; i < 256; ++i) {
      const std::string path = place / "cache/cas/objects" + (i < 0 ? "" : fmt::format("/{:02x}", i));
      const timespec times[2] = {{1000, 0}, {1000, 0}};
      ::utimensat(AT_FDCWD, path.c_str(), times, 0);
    }
  };
  age();
  {
    Completeness complete(cas);
    CHECK(complete.tree(root));
    must(complete.save());
    // The change time can't be set back: too young to be believed.
    CHECK_FALSE(path_exists(place / "cache/sluice/complete"));
  }
  const auto wait_until_settled = [&] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      Completeness complete(cas);
      REQUIRE(complete.tree(root));
      must(complete.save());
      if (path_exists(place / "cache/sluice/complete")) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    FAIL("never saved");
  };
  wait_until_settled();
  {
    // Believed: it doesn't notice an object whose file was emptied without its directory changing.
    damage(cas.object_path(blob), "");
    Completeness complete(cas);
    CHECK(complete.tree(root));
  }
  // Removing any object makes it look again.
  must(cas.remove(blob));
  Completeness complete(cas);
  CHECK_FALSE(complete.tree(root));
}

}  // namespace
}  // namespace sluice::store
