#include "store/cas.h"

#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/sha256.h"
#include "store/check.h"
#include "store/complete.h"
#include "store/sync.h"
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
  const std::string path =
      place / "cache/cas/objects/58/91b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
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
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20, (std::size_t{3} << 20) + 17}) {
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

  // An object that is there already stays, and so does the file.
  place.file("again", "content");
  CHECK(take("again") == digest);
  CHECK(path_exists(place / "again"));
  CHECK(inode(cas.object_path(digest)) == number);

  // A file with two names, or attributes, is copied, since the store's inodes are the store's
  // alone.
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
  for (const std::string& hash :
       {std::string("../../../../etc/passwd"), std::string(), std::string(64, 'A'), h.substr(1),
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

TEST_CASE("What is read or copied is hashed: a damaged object is missing, and removed") {
  Place place;
  Cas cas = place.open();
  for (const std::size_t size : {std::size_t{7}, std::size_t{3} << 20}) {
    std::string content(size, 'x');
    const Digest digest = must(cas.add(content));
    const auto copy = [&] {
      UniqueFd to(::open((place / "copy").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
      REQUIRE(to);
      return cas.copy_to(digest, to.get());
    };
    CHECK(cas.verify(digest));
    CHECK(must(cas.read(digest)) == content);
    CHECK(copy());
    CHECK(must(read_file(place / "copy")) == content);
    content[size / 2] ^= 1;
    damage(cas.object_path(digest), content);
    CHECK(reason(cas.verify(digest)) == "cas/corrupt-blob");
    CHECK(reason(copy()) == "cas/missing-blob");
    CHECK_FALSE(path_exists(cas.object_path(digest)));
    content[size / 2] ^= 1;
    must(cas.add(content));
    content[0] ^= 1;
    damage(cas.object_path(digest), content);
    CHECK(reason(cas.read(digest)) == "cas/missing-blob");
    CHECK_FALSE(path_exists(cas.object_path(digest)));
  }
}

TEST_CASE("With verify_on_read a damaged object isn't opened") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(cas.add("content"));
  damage(cas.object_path(digest), "CONTENT");
  CHECK(cas.open_blob(digest));  // this store wasn't asked to look
  CHECK(reason(place.open({.verify_on_read = true}).open_blob(digest)) == "cas/missing-blob");
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
  CHECK(sync(cas.cachedir()));
  CHECK(path_exists(place / "cache/sluice/synced"));
}

TEST_CASE("What is known to be whole is remembered between processes while nothing moves") {
  Place place;
  Cas cas = place.open();
  Tree tree(cas);
  const Digest blob = must(cas.add("x"));
  must(tree.put_file("d/a", blob, false));
  const Digest root = must(tree.store(cas));
  const Digest directory = must(tree.directory_digest("d"));
  // The directories are young: their timestamps have ticks, so that what was saved isn't believed.
  {
    Completeness complete(cas);
    CHECK(complete.tree(root));
    must(complete.save());
  }
  damage(cas.object_path(blob), "");
  CHECK_FALSE(Completeness(cas).tree(root));
  must(cas.add("x"));
  const auto settled = [&] {
    Completeness complete(cas);
    REQUIRE(complete.tree(root));
    must(complete.save());
    return must(read_file(place / "cache/sluice/complete")).find("0000000000000000") ==
           std::string::npos;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!settled()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // What was saved is believed: an object whose file was emptied without its directory changing
  // isn't noticed.
  damage(cas.object_path(blob), "");
  CHECK(Completeness(cas).tree(root));
  // Another object makes the store look into that one's directory only.
  for (int i = 0, added = 0; added < 3; ++i) {
    const std::string content = fmt::format("other {}", i);
    const std::string folder = digest_of(content).hash.substr(0, 2);
    if (folder == blob.hash.substr(0, 2) || folder == root.hash.substr(0, 2) ||
        folder == directory.hash.substr(0, 2))
      continue;
    must(cas.add(content));
    ++added;
  }
  CHECK(Completeness(cas).tree(root));
  // An object that is removed from the blob's directory makes the store look there.
  must(cas.remove(blob));
  CHECK_FALSE(Completeness(cas).tree(root));
}

}  // namespace
}  // namespace sluice::store
