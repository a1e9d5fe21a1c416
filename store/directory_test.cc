#include "store/directory.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "store/check.h"
#include "store/measure.h"
#include "store/test_store.h"
#include "store/tree.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;

// The tree whose digests a reference root gave:
//   bst build imp.bst        (kind import, one local source, path: files)
//   then the `files` of CACHEDIR/artifacts/refs/stp/imp/KEY (BuildStream 2.8.1, casd 1.4)
void make_reference_tree(const Place& place) {
  place.file("files/a.txt", "hello\n", 0640);
  place.file("files/run.sh", "#!/bin/sh\n", 0755);
  place.file("files/sub/deep/x", "x", 04711);
  place.link("files/sub/link", "../a.txt");
  place.link("files/dang", "/abs");
  place.file("files/Zeta", "g");
  place.file("files/sub.txt", "h");
  place.directory("files/empty");
}

TEST_CASE("Trees have the digests that BuildStream gives them") {
  Place place;
  make_reference_tree(place);
  Cas cas = place.open();
  const Digest root{"421d40dbc9a40b6f84d981831446c507d8ce9816db83826d01683b8032695b12", 488};
  CHECK(must(import_tree(cas, place / "files")) == root);
  CHECK(must(hash_tree(place / "files")) == root);
  CHECK(must(hash_tree(place / "files/sub")) ==
        Digest{"b26441836d606c1db7be433510122c9e21b46c17e70b43d564abdd840d81adc3", 96});
  CHECK(must(hash_tree(place / "files/empty")) == empty_digest());
  // What was imported is whole and correct.
  CHECK(must(verify_all(cas)).corrupt.empty());
  CHECK(must(measure_tree(cas, root)).files == 5);
  CHECK(must(measure_tree(cas, root)).directories == 4);
}

TEST_CASE("Only the owner's execute bit counts; hard links are files") {
  // The digest is the reference root's of the element s1: modes 0654, 0645, 0744, 0000 and two
  // links of one file.
  Place place;
  place.file("s1/g", "a\n", 0654);
  place.file("s1/o", "b\n", 0645);
  place.file("s1/u", "c\n", 0744);
  place.file("s1/n", "n\n", ::geteuid() == 0 ? 0000 : 0400);
  place.file("s1/l1", "l\n", 0644);
  REQUIRE(::link((place / "s1/l1").c_str(), (place / "s1/l2").c_str()) == 0);
  CHECK(must(hash_tree(place / "s1")) ==
        Digest{"f33a01bcc81db06a59a912593c2152859bdf2d2c8738b56b0e971b1148467384", 454});
}

TEST_CASE("FIFOs and sockets are left out, as casd does, and named") {
  Place place;
  REQUIRE(::mkdir((place / "s2").c_str(), 0755) == 0);
  REQUIRE(::mkfifo((place / "s2/fifo").c_str(), 0644) == 0);
  place.file("s2/x", "x\n");
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1, "{}", place / "s2/sock");
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  std::vector<std::string> skipped;
  ImportOptions options;
  options.skipped = &skipped;
  // The digest is from a reference root, where the directory held a FIFO and `x`.
  CHECK(must(hash_tree(place / "s2", options)) ==
        Digest{"2a79b78783c8e17884f206fbcdead4877a6691a91cdf75ff896de7c669c14670", 75});
  CHECK(skipped == std::vector<std::string>{"fifo", "sock"});
}

TEST_CASE("Modification times enter only when asked for, in microseconds") {
  Place place;
  place.file("t/f", "x");
  const timespec times[2] = {{1000, 1234567}, {1000, 1234567}};
  REQUIRE(::utimensat(AT_FDCWD, (place / "t/f").c_str(), times, 0) == 0);
  REQUIRE(::utimensat(AT_FDCWD, (place / "t").c_str(), times, 0) == 0);
  Cas cas = place.open();
  ImportOptions options;
  options.mtime = true;
  const Digest with = must(import_tree(cas, place / "t", options));
  const Directory directory = must(read_directory(cas, with));
  CHECK(directory.files.at(0).mtime == Timestamp{1000, 1234000});
  CHECK(directory.mtime == Timestamp{1000, 1234000});
  CHECK(must(hash_tree(place / "t")) != with);
  CHECK(must(hash_tree(place / "t", options)) == with);
}

TEST_CASE("A tree of many files is hashed by several threads to the same digest") {
  Place place;
  for (int i = 0; i < 300; ++i)
    place.file(fmt::format("m/{}/{}", i % 7, i),
               std::string(static_cast<std::size_t>(i) * 100, 'a'));
  ImportOptions one;
  one.threads = 1;
  ImportOptions many;
  many.threads = 6;
  CHECK(must(hash_tree(place / "m", one)) == must(hash_tree(place / "m", many)));
  Cas cas = place.open();
  const Digest root = must(import_tree(cas, place / "m", many));
  CHECK(root == must(hash_tree(place / "m", one)));
  CHECK(must(verify_all(cas)).corrupt.empty());
}

TEST_CASE("Names that BuildStream can't read are refused, and what can't be read is named") {
  Place place;
  place.file("bad/a\xff", "x");
  CHECK(reason(hash_tree(place / "bad")) == "virtual-fs/bad-name");
  place.directory("badlink");
  REQUIRE(::symlink("b\xff", (place / "badlink/l").c_str()) == 0);
  CHECK(reason(hash_tree(place / "badlink")) == "virtual-fs/bad-name");
  place.file("good/na\xc3\xafve", "x");
  CHECK(hash_tree(place / "good"));
  CHECK(reason(hash_tree(place / "absent")) == "virtual-fs/not-found");
  CHECK(reason(hash_tree(place / "good/na\xc3\xafve")) == "util/enotdir");
}

TEST_CASE("A filter leaves things out; a single file is a tree of one") {
  Place place;
  place.file("t/keep", "x");
  place.file("t/.git/config", "secret");
  ImportOptions options;
  options.filter = [](std::string_view path) { return path != ".git"; };
  place.file("u/keep", "x");
  CHECK(must(hash_tree(place / "t", options)) == must(hash_tree(place / "u")));
  Cas cas = place.open();
  CHECK(must(import_file_as_tree(cas, place / "t/keep", "keep")) == must(hash_tree(place / "u")));
  CHECK(must(hash_file_as_tree(place / "t/keep", "keep")) == must(hash_tree(place / "u")));
  CHECK(reason(hash_file_as_tree(place / "t/keep", "../keep")) == "virtual-fs/bad-name");
  CHECK(reason(hash_file_as_tree(place / "t", "keep")) == "virtual-fs/not-a-file");
}

TEST_CASE("Too deep is an error, not a crash") {
  Place place;
  std::string path = place / "deep";
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  UniqueFd at(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (unsigned i = 0; i < kMaxDepth + 2; ++i) {
    REQUIRE(::mkdirat(at.get(), "d", 0755) == 0);
    at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(at);
  }
  CHECK(reason(hash_tree(path)) == "virtual-fs/too-deep");

  Cas cas = place.open();
  Digest digest = empty_digest();
  for (unsigned i = 0; i < kMaxDepth + 2; ++i)
    digest = must(cas.add(encode_directory({{}, {{"d", digest}}, {}, {}, {}})));
  CHECK(reason(measure_tree(cas, digest)) == "virtual-fs/too-deep");
  CHECK(reason(for_each_blob(cas, digest, [](const BlobUse&) { return Status{}; })) ==
        "virtual-fs/too-deep");
  CHECK(reason(must(Tree::open(cas, digest)).list()) == "virtual-fs/too-deep");
}

TEST_CASE("Encoding is canonical and comes back as it was") {
  const Digest blob = digest_of("x");
  Directory directory;
  directory.files = {{"b", blob, true, Timestamp{5, 6}}, {"a", blob, false, std::nullopt}};
  directory.directories = {{"sub", empty_digest()}};
  directory.symlinks = {{"z", "t"}, {"y", "../x"}};
  directory.subtree_read_only = true;
  const std::string bytes = encode_directory(directory);
  std::swap(directory.files[0], directory.files[1]);
  std::swap(directory.symlinks[0], directory.symlinks[1]);
  CHECK(encode_directory(directory) == bytes);
  CHECK(must(decode_directory(bytes)) == directory);
  CHECK(encode_directory({}).empty());
}

// Bytes of a Directory with one entry, made by hand: field 1 (file), 2 (directory) or 3 (link).
std::string hostile(int field, std::string_view name, std::string_view hash) {
  const auto tagged = [](int number, std::string_view bytes) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    std::size_t size = bytes.size();
    while (size >= 128) {
      out += static_cast<char>((size & 127) | 128);
      size >>= 7;
    }
    out += static_cast<char>(size);
    return out.append(bytes);
  };
  return tagged(field,
                tagged(1, name) + (field == 3 ? tagged(2, hash) : tagged(2, tagged(1, hash))));
}

TEST_CASE("A Directory from a hostile peer can't name what is outside") {
  const std::string good(64, 'a');
  CHECK(decode_directory(hostile(1, "fine", good)));
  for (const int field : {1, 2, 3}) {
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("../x"),
          std::string("/etc"), std::string("a/b"), std::string("a\0b", 3), std::string(256, 'n')}) {
      INFO(field << " " << name);
      CHECK(reason(decode_directory(hostile(field, name, good))) == "virtual-fs/bad-directory");
    }
    CHECK(reason(decode_directory(hostile(field, "a", good) + hostile(1, "a", good))) ==
          "virtual-fs/bad-directory");
  }
  CHECK(reason(decode_directory(hostile(1, "a", "../../../x"))) == "virtual-fs/bad-directory");
  CHECK(reason(decode_directory(hostile(2, "a", ""))) == "virtual-fs/bad-directory");
  CHECK(reason(decode_directory(hostile(3, "a", ""))) == "virtual-fs/bad-directory");
  CHECK(reason(decode_directory(hostile(3, "a", std::string("t\0t", 3)))) ==
        "virtual-fs/bad-directory");
  CHECK(reason(decode_directory("\x0a\xff\xff\xff\xff\xff")) == "virtual-fs/bad-directory");
  // Every cut of a good message either decodes or is refused.
  const std::string whole = hostile(1, "fine", good);
  for (std::size_t n = 1; n < whole.size(); ++n) CHECK_FALSE(decode_directory(whole.substr(0, n)));
  // Messages of errors don't carry control characters to a terminal.
  const auto error = decode_directory(hostile(1, "\x1b[31m/", good));
  REQUIRE_FALSE(error);
  CHECK(error.error().message.find('\x1b') == std::string::npos);
}

}  // namespace
}  // namespace sluice::store
