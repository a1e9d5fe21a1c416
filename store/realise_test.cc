#include "store/realise.h"

#include <atomic>
#include <thread>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include "store/capture.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/sync.h"
#include "store/test_store.h"
#include "store/tree.h"
#include "tests/support/skipped.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;
using test::status;

void make_tree(const Place& place) {
  place.file("t/bin/tool", "#!/bin/sh\n", 0755);
  place.file("t/bin/data", "#!/bin/sh\n", 0644);
  place.file("t/empty1", "");
  place.file("t/empty2", "");
  place.file("t/sub/empty3", "");
  place.link("t/sub/up", "../../../../etc/passwd");
  place.link("t/abs", "/etc/passwd");
  place.directory("t/void");
}

std::string content(const std::string& path) { return must(read_file(path)); }

TEST_CASE("A root on disk has fixed modes, times and owner, and none of the store's inodes") {
  Place place;
  make_tree(place);
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  Realiser realiser = must(Realiser::open(cas));
  CHECK_FALSE(realiser.is_realised(root));
  const RealisedRoot made = must(realiser.realise(root));
  CHECK_FALSE(made.reused);
  CHECK(realiser.is_realised(root));
  REQUIRE(made.layers.size() == 1);
  const std::string at = made.layers[0] + "/";
  CHECK(at == place / fmt::format("cache/sluice/roots/{}-{}/tree/", root.hash, root.size));
  CHECK(content(at + "bin/tool") == "#!/bin/sh\n");
  CHECK((status(at + "bin/tool").st_mode & 07777) == 0755);
  CHECK((status(at + "bin/data").st_mode & 07777) == 0644);
  CHECK((status(at + "void").st_mode & 07777) == 0755);
  CHECK((status(at).st_mode & 07777) == 0755);
  CHECK(status(at + "bin/tool").st_ino != status(cas.object_path(digest_of("#!/bin/sh\n"))).st_ino);
  CHECK(status(cas.object_path(digest_of("#!/bin/sh\n"))).st_nlink == 1);
  for (const char* name : {"", "bin", "bin/tool", "sub/up", "void", "empty1"}) {
    INFO(name);
    CHECK(status(at + name).st_mtim.tv_sec == kFixedMtime);
    CHECK(status(at + name).st_uid == ::geteuid());
  }
  CHECK(S_ISLNK(status(at + "sub/up").st_mode));
  // No two names share an inode.
  CHECK(status(at + "empty1").st_ino != status(at + "empty2").st_ino);
  CHECK(status(at + "empty1").st_ino != status(at + "sub/empty3").st_ino);
  // The files on disk are the tree.
  CHECK(must(hash_tree(at)) == root);

  const RealisedRoot again = must(realiser.realise(root));
  CHECK(again.reused);
  CHECK(again.layers == made.layers);

  // Another root shares the twins.
  place.file("t/more", "more");
  const RealisedRoot other = must(realiser.realise(must(import_tree(cas, place / "t"))));
  CHECK(status(other.layers[0] + "/empty2").st_ino == status(at + "empty2").st_ino);
}

TEST_CASE("Many realise the same root at once: one stays, all can use it, nothing is left over") {
  Place place;
  for (int i = 0; i < 60; ++i)
    place.file(fmt::format("t/{}/{}", i % 5, i), fmt::format("{}", i % 9));
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      auto own = Cas::open(place / "cache");
      auto realiser =
          own ? Realiser::open(*own) : Result<Realiser>(tl::unexpected<Error>(own.error()));
      auto realised = realiser ? realiser->realise(root)
                               : Result<RealisedRoot>(tl::unexpected<Error>(realiser.error()));
      const auto hash = realised ? hash_tree(realised->layers[0])
                                 : Result<Digest>(tl::unexpected<Error>(realised.error()));
      if (!hash || *hash != root) ++failures;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  UniqueFd fd(::open((place / "cache/sluice/tmp").c_str(), O_RDONLY | O_DIRECTORY));
  CHECK(must(cas.sweep_temporary()) == 0);
}

TEST_CASE("What is missing or damaged in the store is an error, and no root appears") {
  Place place;
  make_tree(place);
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  Realiser realiser = must(Realiser::open(cas));
  const std::string object = cas.object_path(digest_of("#!/bin/sh\n"));
  SECTION("missing") { REQUIRE(::unlink(object.c_str()) == 0); }
  SECTION("same size, other content") {
    REQUIRE(::chmod(object.c_str(), 0644) == 0);
    UniqueFd fd(::open(object.c_str(), O_WRONLY));
    must(write_all(fd.get(), "#!/bin/XX\n"));
  }
  CHECK(reason(realiser.realise(root)) == "cas/missing-blob");
  CHECK_FALSE(path_exists(object));
  CHECK_FALSE(realiser.is_realised(root));
  CHECK(reason(realiser.realise({"../../../x", 1})) == "cas/bad-digest");
}

TEST_CASE("A twin that lost its content is made again; a root from before a loss of power too") {
  Place place;
  make_tree(place);
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  Realiser realiser = must(Realiser::open(cas));
  const std::string at = must(realiser.realise(root)).layers[0];
  // Files of no length are what ext4 shows after power was lost before the data was written.
  REQUIRE(::truncate((at + "/bin/tool").c_str(), 0) == 0);
  const std::string layers = at.substr(0, at.size() - 5) + "/layers";
  std::string recipe = content(layers);
  // The recipe names another boot.
  recipe.replace(recipe.find('\n') + 1, 36, "00000000-0000-0000-0000-000000000000");
  must(write_file_atomic(layers, recipe));

  SECTION("not synced since: it is made anew") {
    const RealisedRoot made = must(realiser.realise(root));
    CHECK_FALSE(made.reused);
    CHECK(must(hash_tree(made.layers[0])) == root);
  }
  SECTION("synced after it was made: it is good") {
    must(sync(cas.cachedir()));
    CHECK(must(realiser.realise(root)).reused);
  }
  SECTION("a recipe that can't be read") {
    must(write_file_atomic(layers, "nonsense"));
    CHECK(must(hash_tree(must(realiser.realise(root)).layers[0])) == root);
  }
}

// Puts another byte into a file, which keeps its size, mode and time.
void flip(const std::string& path) {
  const struct stat before = status(path);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  std::string bytes = content(path);
  bytes[bytes.size() / 2] ^= 1;
  UniqueFd fd(::open(path.c_str(), O_WRONLY));
  REQUIRE(fd);
  must(write_all(fd.get(), bytes));
  REQUIRE(::fchmod(fd.get(), before.st_mode & 07777) == 0);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(::futimens(fd.get(), times) == 0);
}

TEST_CASE(
    "A damaged twin or root is found the first time that a process meets it, and made again") {
  Place place;
  make_tree(place);
  // There are enough files for threads.
  for (int i = 0; i < 60; ++i)
    place.file(fmt::format("t/many/{}", i), fmt::format("content {}", i));
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  const std::string at = must(must(Realiser::open(cas)).realise(root)).layers[0];
  flip(at + "/bin/tool");
  flip(at + "/many/17");
  SECTION("a root that is there") {
    Realiser realiser = must(Realiser::open(cas));
    CHECK(must(realiser.damaged()).size() == 1);
    const RealisedRoot made = must(realiser.realise(root));
    CHECK_FALSE(made.reused);
    CHECK(must(hash_tree(made.layers[0])) == root);
    CHECK(must(Realiser::open(cas)).realise(root)->reused);
  }
  SECTION("twins that another root would share") {
    place.file("t/another", "");
    const Digest other = must(import_tree(cas, place / "t"));
    CHECK(must(hash_tree(must(must(Realiser::open(cas)).realise(other)).layers[0])) == other);
  }
  SECTION("the store's repair") {
    const CheckReport found = must(verify_all(cas));
    CHECK(found.derived.size() == 3);
    CHECK_FALSE(found.good());
    const CheckReport repaired = must(verify_all(cas, true));
    CHECK(repaired.removed == 3);
    CHECK(repaired.left == 0);
    CHECK(must(verify_all(cas)).good());
    CHECK_FALSE(must(Realiser::open(cas)).is_realised(root));
  }
}

TEST_CASE("A damaged blob leaves by no checkout and no private copy") {
  Place place;
  make_tree(place);
  for (int i = 0; i < 60; ++i)
    place.file(fmt::format("t/many/{}", i), fmt::format("content {}", i));
  place.file("t/large", std::string(std::size_t{2} << 20, 'l'));
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  for (const Digest& blob :
       {digest_of("content 31"), digest_of(std::string(std::size_t{2} << 20, 'l'))}) {
    for (int way = 0; way < 3; ++way) {
      flip(cas.object_path(blob));
      must(remove_tree(place / "cache/sluice/files"));  // a good twin needs no blob
      const std::string out = place / fmt::format("out-{}-{}", blob.hash, way);
      const Status done = way == 0   ? checkout(cas, root, out)
                          : way == 1 ? copy_out(cas, root, out)
                                     : checkout(cas, root, out, {.hardlinks = true});
      CHECK(reason(done) == "cas/missing-blob");
      CHECK_FALSE(cas.contains(blob));
      CHECK_FALSE(path_exists(out + (blob.size > 100 ? "/large" : "/many/31")));
      CHECK(must(import_tree(cas, place / "t")) == root);
    }
  }
  const Digest directory = must(must(Tree::open(cas, root)).directory_digest("many"));
  flip(cas.object_path(directory));
  CHECK(reason(checkout(cas, root, place / "out")) == "cas/missing-blob");
  CHECK_FALSE(cas.contains(directory));
}

TEST_CASE("A file with a time of its own keeps it") {
  Place place;
  Cas cas = place.open();
  Directory directory;
  directory.files = {{"f", must(cas.add("x")), false, Timestamp{1000, 5000}}};
  const Digest root = must(cas.add(encode_directory(directory)));
  Realiser realiser = must(Realiser::open(cas));
  const std::string at = must(realiser.realise(root)).layers[0] + "/f";
  CHECK(status(at).st_mtim.tv_sec == 1000);
  CHECK(status(at).st_mtim.tv_nsec == 5000);
  must(copy_out(cas, root, place / "out"));
  CHECK(status(place / "out/f").st_mtim.tv_sec == 1000);
  must(checkout(cas, root, place / "co"));
  CHECK(status(place / "co/f").st_mtim.tv_sec == 1000);
}

// Merges layers by the overlay's rules: what they show when they are mounted over one another.
Digest merged(Cas& cas, const std::vector<std::string>& layers) {
  Digest root = must(capture(cas, layers[0]));
  for (std::size_t i = 1; i < layers.size(); ++i)
    root = must(capture_overlay(cas, root, layers[i]));
  return root;
}

TEST_CASE("A root near to another becomes a layer over it") {
  Place place;
  for (int i = 0; i < 40; ++i)
    place.file(fmt::format("base/usr/lib/{}", i), fmt::format("lib {}", i % 4));
  place.file("base/usr/bin/a", "a", 0755);
  place.file("base/etc/conf", "old");
  place.file("base/etc/gone", "gone");
  place.file("base/becomes-dir", "file");
  place.file("base/becomes-file/inner", "x");
  place.link("base/l", "one");
  Cas cas = place.open();
  const Digest base = must(import_tree(cas, place / "base"));
  REQUIRE(::system(("cp -a " + (place / "base") + " " + (place / "next")).c_str()) == 0);
  place.file("next/usr/lib/new", "lib 0");
  place.file("next/etc/conf", "new");
  REQUIRE(::unlink((place / "next/etc/gone").c_str()) == 0);
  REQUIRE(::unlink((place / "next/becomes-dir").c_str()) == 0);
  place.file("next/becomes-dir/f", "f");
  must(remove_tree(place / "next/becomes-file"));
  place.file("next/becomes-file", "file now");
  REQUIRE(::unlink((place / "next/l").c_str()) == 0);
  place.link("next/l", "two");
  REQUIRE(::chmod((place / "next/usr/bin/a").c_str(), 0644) == 0);
  const Digest next = must(import_tree(cas, place / "next"));

  Realiser realiser = must(Realiser::open(cas, {.max_layers = 3}));
  const RealisedRoot below = must(realiser.realise(base));
  CHECK(below.layers.size() == 1);
  const RealisedRoot over = must(realiser.realise(next));
  REQUIRE(over.layers.size() == 2);
  CHECK(over.layers[0] == below.layers[0]);
  CHECK_FALSE(path_exists(over.layers[1] + "/usr/lib/3"));
  CHECK(S_ISCHR(status(over.layers[1] + "/etc/gone").st_mode));
  CHECK(merged(cas, over.layers) == next);
  // "lib 0" is in the base ten times: the new one is none of those inodes.
  const auto inode = status(over.layers[1] + "/usr/lib/new").st_ino;
  for (int i = 0; i < 40; i += 4)
    CHECK(status(fmt::format("{}/usr/lib/{}", over.layers[0], i)).st_ino != inode);
  CHECK(must(realiser.realise(next)).reused);

  // There is another layer over that, and then no more.
  place.file("next/third", "3");
  const RealisedRoot third = must(realiser.realise(must(import_tree(cas, place / "next"))));
  CHECK(third.layers.size() == 3);
  place.file("next/fourth", "4");
  const Digest fourth = must(import_tree(cas, place / "next"));
  const RealisedRoot flat = must(realiser.realise(fourth));
  CHECK(flat.layers.size() <= 3);
  CHECK(merged(cas, flat.layers) == fourth);

  // A layer without its base is worth nothing, and the root is made anew.
  must(remove_tree(below.layers[0].substr(0, below.layers[0].size() - 5)));
  const RealisedRoot anew = must(realiser.realise(next));
  CHECK_FALSE(anew.reused);
  CHECK(merged(cas, anew.layers) == next);

  // Where the kernel lets us mount it, it is the tree, too, with a link count that shows nothing
  // shared.
  if (::geteuid() != 0) return say_skipped("only root can mount what was realised");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(0);
    ::mkdir((place / "mnt").c_str(), 0755);
    const std::string options = fmt::format("lowerdir={}:{}", over.layers[1], over.layers[0]);
    // The first base is gone from its path; take the one made anew.
    const std::string usable = anew.layers.size() == 2
                                   ? fmt::format("lowerdir={}:{}", anew.layers[1], anew.layers[0])
                                   : "";
    if (usable.empty() ||
        ::mount("overlay", (place / "mnt").c_str(), "overlay", MS_RDONLY, usable.c_str()) != 0)
      ::_exit(0);
    const auto seen = hash_tree(place / "mnt");
    ::_exit(seen && *seen == next ? 0 : 1);
  }
  int how = 0;
  REQUIRE(::waitpid(child, &how, 0) == child);
  CHECK(WIFEXITED(how));
  CHECK(WEXITSTATUS(how) == 0);
}

TEST_CASE("A private copy is writable, has fixed times, and leaves the store alone") {
  Place place;
  make_tree(place);
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  must(copy_out(cas, root, place / "out"));
  CHECK(must(hash_tree(place / "out")) == root);
  CHECK((status(place / "out/bin/data").st_mode & 07777) == 0644);
  CHECK((status(place / "out/bin/tool").st_mode & 07777) == 0755);
  CHECK(status(place / "out/bin/tool").st_nlink == 1);
  for (const char* name : {"out", "out/bin", "out/bin/tool", "out/abs"})
    CHECK(status(place / name).st_mtim.tv_sec == kFixedMtime);
  must(write_file_atomic(place / "out/bin/data", "changed"));
  UniqueFd fd(::open((place / "out/empty1").c_str(), O_WRONLY));
  must(write_all(fd.get(), "written in place"));
  CHECK(cas.verify(digest_of("")));
  CHECK(reason(copy_out(cas, root, place / "out")) == "virtual-fs/directory-not-empty");
}

TEST_CASE("A checkout never writes outside of its directory") {
  Place place;
  Cas cas = place.open();
  place.file("outside/victim", "safe");
  place.file("t/dir/file", "from the tree");
  place.file("t/victim", "from the tree");
  const Digest root = must(import_tree(cas, place / "t"));

  SECTION("links that lie in the directory are replaced, not followed") {
    place.link("co/dir", place / "outside");
    place.link("co/victim", place / "outside/victim");
    CHECK(reason(checkout(cas, root, place / "co")) == "virtual-fs/directory-not-empty");
    must(checkout(cas, root, place / "co", {.force = true}));
    CHECK(must(hash_tree(place / "co")) == root);
  }
  SECTION("links that the tree brings are not followed by what comes after them") {
    // A tree with a link and a directory of one name can't be made; two checkouts one after the
    // other can.
    Tree first(cas);
    must(first.put_symlink("dir", place / "outside"));
    must(first.put_symlink("victim", place / "outside/victim"));
    must(checkout(cas, must(first.store(cas)), place / "co"));
    must(checkout(cas, root, place / "co", {.force = true, .hardlinks = true}));
    CHECK(must(hash_tree(place / "co")) == root);
  }
  SECTION("a hostile message") {
    const std::string evil = std::string("\x0a\x53\x0a\x0b") + "../evil/fil" + "\x12\x44\x0a\x40" +
                             digest_of("x").hash + "\x10\x01";
    must(cas.add("x"));
    const Digest bad = must(cas.add(evil));
    CHECK(reason(checkout(cas, bad, place / "co")) == "virtual-fs/bad-directory");
    CHECK(reason(copy_out(cas, bad, place / "cp")) == "virtual-fs/bad-directory");
    Realiser realiser = must(Realiser::open(cas));
    CHECK(reason(realiser.realise(bad)) == "virtual-fs/bad-directory");
    CHECK_FALSE(path_exists(place / "evil"));
  }
  CHECK(content(place / "outside/victim") == "safe");
  CHECK_FALSE(path_exists(place / "outside/file"));
}

TEST_CASE(
    "Checkouts: by copy with the umask's modes, by links to read-only twins, over what is there") {
  Place place;
  make_tree(place);
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "t"));
  const mode_t old = ::umask(027);
  const auto done = checkout(cas, root, place / "co");
  ::umask(old);
  must(done);
  CHECK(must(hash_tree(place / "co")) == root);
  CHECK((status(place / "co/bin/tool").st_mode & 07777) == 0750);
  CHECK((status(place / "co/bin/data").st_mode & 07777) == 0640);
  CHECK(status(place / "co/bin/data").st_mtim.tv_sec != kFixedMtime);

  must(checkout(cas, root, place / "hl", {.hardlinks = true}));
  CHECK(must(hash_tree(place / "hl")) == root);
  CHECK((status(place / "hl/bin/tool").st_mode & 07777) == 0555);
  CHECK(status(place / "hl/bin/tool").st_nlink == 2);
  CHECK(status(cas.object_path(digest_of("#!/bin/sh\n"))).st_nlink == 1);

  // A checkout that is forced over a directory with other things in it leaves those.
  place.file("co/extra", "kept");
  place.file("co/bin/data", "changed");
  must(checkout(cas, root, place / "co", {.force = true}));
  CHECK(content(place / "co/extra") == "kept");
  CHECK(content(place / "co/bin/data") == "#!/bin/sh\n");
  // A directory with something in it doesn't give way to a file.
  must(remove_tree(place / "co/empty1"));
  place.file("co/empty1/x", "kept");
  CHECK(reason(checkout(cas, root, place / "co", {.force = true})) == "util/enotempty");
  CHECK(content(place / "co/empty1/x") == "kept");
}

TEST_CASE(
    "Capturing takes what a build left: modes dropped, special files named, absent an error") {
  Place place;
  Cas cas = place.open();
  place.file("out/suid", "s", 04755);
  place.file("out/plain", "p", 0600);
  place.file("out/closed/file", "c");
  REQUIRE(::mkfifo((place / "out/fifo").c_str(), 0644) == 0);
  std::vector<std::string> skipped;
  ImportOptions options;
  options.skipped = &skipped;
  if (::geteuid() != 0) REQUIRE(::chmod((place / "out/closed").c_str(), 0000) == 0);
  const Digest root = must(capture(cas, place / "out", options));
  CHECK(skipped == std::vector<std::string>{"fifo"});
  const Directory directory = must(read_directory(cas, root));
  REQUIRE(directory.files.size() == 2);
  CHECK(directory.files[1].executable);
  CHECK_FALSE(directory.files[0].executable);
  CHECK(reason(capture(cas, place / "absent")) == "virtual-fs/not-found");
  CHECK(reason(capture(cas, place / "out/plain")) == "virtual-fs/not-a-directory");
  // The install root may not be a link out of the sandbox.
  place.link("escape", "/etc");
  CHECK(reason(capture(cas, place / "escape")) == "virtual-fs/not-a-directory");
}

TEST_CASE("As an ordinary user, files and directories that were closed are captured") {
  if (::geteuid() != 0) return;  // the test above did it as an ordinary user
  Place place;
  place.file("out/closed/file", "c", 0000);
  place.file("out/none", "n", 0111);
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  REQUIRE(::chmod((place / "out/closed").c_str(), 0000) == 0);
  REQUIRE(::system(("chown -R 65534:65534 " + place.path()).c_str()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    auto cas = Cas::open(place / "cache");
    if (!cas) ::_exit(3);
    const auto root = capture(*cas, place / "out");
    if (!root) ::_exit(4);
    const auto list = Tree::open(*cas, *root)->list();
    ::_exit(list && *list == std::vector<std::string>{"none", "closed", "closed/file"} ? 0 : 5);
  }
  int how = 0;
  REQUIRE(::waitpid(child, &how, 0) == child);
  CHECK(WEXITSTATUS(how) == 0);
}

TEST_CASE("An overlay's upper directory is applied to the tree below it") {
  Place place;
  Cas cas = place.open();
  place.file("lower/keep", "k");
  place.file("lower/gone", "g");
  place.file("lower/d/in", "i");
  place.file("lower/d/out", "o");
  place.file("lower/opaque/old", "old");
  const Digest lower = must(import_tree(cas, place / "lower"));
  place.file("upper/d/out", "changed", 0755);
  place.file("upper/new/deep", "n");
  place.file("upper/opaque/only", "only");
  place.link("upper/l", "keep");
  REQUIRE(::mknod((place / "upper/gone").c_str(), S_IFCHR, makedev(0, 0)) == 0);
  const bool marked =
      ::setxattr((place / "upper/opaque").c_str(), "user.overlay.opaque", "y", 1, 0) == 0;
  const Digest after = must(capture_overlay(cas, lower, place / "upper"));
  std::vector<std::string> expected{"keep", "l", "d", "d/in", "d/out", "new", "new/deep", "opaque"};
  if (!marked) expected.push_back("opaque/old");
  expected.push_back("opaque/only");
  Tree tree = must(Tree::open(cas, after));
  auto found = must(tree.list());
  std::sort(found.begin(), found.end());
  expected = std::vector<std::string>(expected);
  std::sort(expected.begin(), expected.end());
  CHECK(found == expected);
  CHECK(must(tree.find("d/out"))->executable);

  if (::setxattr((place / "upper/new").c_str(), "user.overlay.redirect", "/d", 2, 0) == 0) {
    CHECK(reason(capture_overlay(cas, lower, place / "upper")) == "virtual-fs/bad-overlay");
  }
}

}  // namespace
}  // namespace sluice::store
