#include "store/tree_diff.h"

#include "store/directory.h"
#include "store/test_store.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;

using Lines = std::vector<std::string>;

struct Trees {
  Place place;
  Cas cas = place.open();

  Lines lines(const Digest& before, const Digest& after) {
    Lines out;
    must(diff_trees(cas, before, after, [&](const TreeChange& change) -> Status {
      out.push_back(text_of(cas, change));
      return {};
    }));
    return out;
  }
  Digest import(const std::string& name) { return must(import_tree(cas, place / name)); }
};

}  // namespace

TEST_CASE("what differs between two trees is told of each entry, in the order of names") {
  Trees trees;
  const Place& place = trees.place;
  place.file("a/same/deep/file", "same");
  place.file("b/same/deep/file", "same");
  place.file("a/gone/x", "12");
  place.file("b/new/y", "123", 0755);
  place.file("a/mode", "m");
  place.file("b/mode", "m", 0755);
  place.file("a/text", "one\ntwo\n");
  place.file("b/text", "one\ntwa, and more\n");
  place.link("a/link", "old");
  place.link("b/link", "new");
  place.file("a/kind", "a file");
  place.file("b/kind/inner", "of a directory");
  place.file("a/longer", "text");
  place.file("b/longer", "text and more");
  const Digest a = trees.import("a");
  const Digest b = trees.import("b");
  CHECK(trees.lines(a, b) == Lines{
                                 "- gone: directory",
                                 "- gone/x: file, 2 bytes",
                                 "~ kind: file, 6 bytes -> directory",
                                 "+ kind/inner: file, 14 bytes",
                                 "~ link: link to old -> new",
                                 "~ longer: content from byte 4 (line 1) on, 4 -> 13 bytes",
                                 "~ mode: mode 0644 -> 0755",
                                 "+ new: directory",
                                 "+ new/y: file that can be executed, 3 bytes",
                                 "~ text: content from byte 6 (line 2) on, 8 -> 18 bytes",
                             });
  CHECK(trees.lines(a, a).empty());
  // A tree that isn't there has nothing in it, as an empty one.
  CHECK(trees.lines({}, empty_digest()).empty());
  CHECK(trees.lines({}, trees.import("a/gone")) == Lines{"+ x: file, 2 bytes"});
}

TEST_CASE("what of a directory's own message differs is told, in the root too") {
  Trees trees;
  Directory inner;
  inner.files.push_back({"f", trees.cas.add("f").value(), false, Timestamp{1, 2}});
  const Digest old_inner = must(trees.cas.add(encode_directory(inner)));
  inner.subtree_read_only = true;
  inner.files[0].mtime.reset();
  const Digest new_inner = must(trees.cas.add(encode_directory(inner)));
  Directory root;
  root.directories.push_back({"d", old_inner});
  const Digest old_root = must(trees.cas.add(encode_directory(root)));
  root.directories[0].digest = new_inner;
  root.mtime = Timestamp{7, 0};
  const Digest new_root = must(trees.cas.add(encode_directory(root)));
  CHECK(trees.lines(old_root, new_root) == Lines{"~ .: time none -> 7.000000000",
                                                 "~ d: read-only: not said -> yes",
                                                 "~ d/f: time 1.000000002 -> none"});
}

TEST_CASE("where two blobs begin to differ is a byte, a line of text, or a place of a format") {
  Trees trees;
  Cas& cas = trees.cas;
  const auto difference = [&](const std::string& before, const std::string& after) {
    return must(first_difference(cas, must(cas.add(before)), must(cas.add(after))));
  };
  // Past the parts that are read at a time.
  const std::string much(600'000, '\n');
  CHECK(difference(much + "a", much + "b").offset == 600'000);
  CHECK(difference(much + "a", much + "b").line == 600'001);
  CHECK(difference(much, much + "b").offset == 600'000);
  const std::string zero(3, '\0');
  CHECK(difference(zero + "a", zero + "b").line == 0);
  CHECK(difference(zero + "a", zero + "b").place.empty());
  const std::string gzip = std::string("\x1f\x8b\x08\0", 4);
  CHECK(difference(gzip + "1234" + zero, gzip + "1235" + zero).place ==
        "the time in its gzip header");
  const auto archive = [&](const std::string& time, const std::string& content) {
    return "!<arch>\nname.o/         " + time + "           0     0     100644  4         `\n" +
           content + zero;
  };
  CHECK(difference(archive("1", "abcd"), archive("2", "abcd")).place ==
        "the header of its member 'name.o'");
  CHECK(difference(archive("1", "abcd"), archive("1", "abce")).place ==
        "the bytes of its member 'name.o'");
  CHECK(reason(first_difference(cas, digest_of("never stored"), empty_digest())) ==
        "cas/missing-blob");
}

}  // namespace sluice::store
