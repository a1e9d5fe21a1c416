#include "store/tree.h"

#include "store/measure.h"
#include "store/test_store.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;

using Paths = std::vector<std::string>;

// The two trees and what BuildStream 2.8.1 made of them in a reference root:
//   v = CasBasedDirectory(cas); v.import_files("ma"); r = v.import_files("mb")
//   print(r.files_written, r.overwritten, r.ignored, v._get_digest(),
//         list(v.list_relative_paths()))
struct Stages {
  Place place;
  Cas cas = place.open();
  Digest a;
  Digest b;

  Stages() {
    place.file("ma/b/x", "1");
    place.file("ma/b/y", "2");
    place.directory("ma/e");
    place.file("ma/f", "f");
    place.file("ma/d/keep", "k");
    place.file("ma/z/z", "zz");
    place.link("ma/l", "b");
    place.file("mb/b/x", "one");
    place.file("mb/b/n", "3");
    place.file("mb/e", "efile");
    place.file("mb/f", "f2");
    place.file("mb/d", "dfile");
    place.file("mb/q/r/s", "s");
    place.link("mb/l", "x");
    place.file("mb/a", "A");
    a = must(import_tree(cas, place / "ma"));
    b = must(import_tree(cas, place / "mb"));
  }
};

TEST_CASE("Merging stages as BuildStream does: written, overwritten, ignored, order and digest") {
  Stages s;
  Tree tree(s.cas);
  must(tree.merge(s.a, ""));
  MergeReport report;
  must(tree.merge(s.b, "/", {}, &report));
  CHECK(report.written == Paths{"b/n", "b/x", "q/r/s", "a", "e", "f", "l"});
  CHECK(report.overwritten == Paths{"b/x", "e", "f", "l"});
  CHECK(report.ignored == Paths{"d"});
  CHECK(must(tree.list()) == Paths{"a", "e", "f", "l", "b", "b/n", "b/x", "b/y", "d", "d/keep", "q",
                                   "q/r", "q/r/s", "z", "z/z"});
  const Digest digest{"6d47d1f1953dacb6ae95256675f0f8e971ef63ec2a78fa453436d31cce2bd90d", 534};
  CHECK(must(tree.digest()) == digest);
  CHECK(must(tree.store(s.cas)) == digest);
  // Everything that the tree names is there.
  CHECK(for_each_blob(s.cas, digest, [&](const BlobUse& use) {
    return s.cas.contains(use.digest) ? Status{} : Status(fail("test", "absent", use.digest.hash));
  }));
}

TEST_CASE("Merging with a filter as BuildStream does: directories that it takes stay, even empty") {
  Stages s;
  Tree tree(s.cas);
  must(tree.merge(s.a, ""));
  MergeReport report;
  const auto filter = [](std::string_view path) {
    return path == "b/n" || path == "q" || path == "a" || path == "q/r";
  };
  must(tree.merge(s.b, "", filter, &report));
  CHECK(report.written == Paths{"b/n", "a"});
  CHECK(report.overwritten.empty());
  CHECK(report.ignored.empty());
  CHECK(must(tree.store(s.cas)) ==
        Digest{"d938f8e308d347ad0bdb9210a7ea3beae1e0338d4d00315b04351c9759dc5850", 532});
  CHECK(must(tree.list()) ==
        Paths{"a", "f", "l", "b", "b/n", "b/x", "b/y", "d", "d/keep", "e", "q", "q/r", "z", "z/z"});
}

TEST_CASE("A directory that the filter refuses goes when nothing in it stays") {
  Stages s;
  Tree tree(s.cas);
  must(tree.merge(s.b, "", [](std::string_view path) { return path == "b/n"; }));
  CHECK(must(tree.list()) == Paths{"b", "b/n"});
}

TEST_CASE("A directory can't take a file's place") {
  Stages s;
  s.place.file("mc/f/x", "no");
  const Digest c = must(import_tree(s.cas, s.place / "mc"));
  Tree tree(s.cas);
  must(tree.merge(s.a, ""));
  const auto merged = tree.merge(c, "");
  CHECK(reason(merged) == "virtual-fs/not-a-directory");
  CHECK(merged.error().message == "Destination is a regular file, not a directory: /f");
  // A link can't stand in for a directory on the way to where a tree shall go either.
  Tree other(s.cas);
  must(other.merge(s.a, ""));
  CHECK(reason(other.merge(c, "l/under")) == "virtual-fs/not-a-directory");
}

TEST_CASE("A tree merged at a path; subtrees stay digests until they change") {
  Stages s;
  Tree tree(s.cas);
  must(tree.merge(s.a, "/usr/share/stage"));
  CHECK(must(tree.directory_digest("usr/share/stage")) == s.a);
  must(tree.merge(s.a, "/usr/share/stage"));
  CHECK(must(tree.directory_digest("/usr/share/stage")) == s.a);
  const Digest root = must(tree.store(s.cas));

  // The blobs that only that subtree holds go: opening, storing and merging beside it must not
  // notice.
  must(s.cas.remove(s.a));
  Tree again = must(Tree::open(s.cas, root));
  must(again.merge(s.b, "etc"));
  const Digest two = must(again.store(s.cas));
  CHECK(two != root);
  CHECK(must(again.directory_digest("usr/share/stage")) == s.a);
  CHECK(reason(again.list()) == "cas/missing-blob");
}

TEST_CASE("A merge into what was merged before changes every digest above it") {
  Stages s;
  Tree tree(s.cas);
  must(tree.merge(s.a, "one/two"));
  const Digest before = must(tree.store(s.cas));
  must(tree.merge(s.b, "one/two"));
  const Digest after = must(tree.store(s.cas));
  CHECK(before != after);
  Tree flat(s.cas);
  must(flat.merge(s.a, ""));
  must(flat.merge(s.b, ""));
  CHECK(must(tree.directory_digest("one/two")) == must(flat.digest()));
  // A digest that was asked for before must not keep messages from being stored.
  Tree fresh(s.cas);
  must(fresh.put_file("new/dir/file", must(s.cas.add("content")), true));
  const Digest digest = must(fresh.digest());
  CHECK_FALSE(s.cas.contains(digest));
  CHECK(must(fresh.store(s.cas)) == digest);
  CHECK(s.cas.contains(digest));
  CHECK(must(must(Tree::open(s.cas, digest)).list()) == Paths{"new", "new/dir", "new/dir/file"});
}

TEST_CASE("Putting, finding and removing") {
  Stages s;
  Tree tree(s.cas);
  const Digest blob = must(s.cas.add("x"));
  must(tree.put_file("usr/bin/tool", blob, true));
  must(tree.put_symlink("/usr/bin/link", "tool"));
  must(tree.make_directory("var/empty/"));
  CHECK(must(tree.find("usr/bin/tool"))->executable);
  CHECK(must(tree.find("usr/bin/tool"))->digest == blob);
  CHECK(must(tree.find("usr/bin/link"))->target == "tool");
  CHECK(must(tree.find("var"))->type == EntryType::kDirectory);
  CHECK(must(tree.find(""))->type == EntryType::kDirectory);
  CHECK_FALSE(must(tree.find("usr/absent")));
  CHECK_FALSE(must(tree.find("usr/bin/tool/below")));
  CHECK(must(tree.names("usr/bin")) == Paths{"link", "tool"});
  CHECK(reason(tree.names("absent")) == "virtual-fs/not-found");
  CHECK(reason(tree.names("usr/bin/tool")) == "virtual-fs/not-a-directory");
  CHECK(reason(tree.make_directory("usr/bin/link/x")) == "virtual-fs/not-a-directory");
  CHECK(must(tree.directory_digest("var/empty")) == empty_digest());
  must(tree.remove("usr/bin"));
  must(tree.remove("usr/bin"));
  must(tree.remove("absent/below"));
  CHECK(must(tree.list()) == Paths{"usr", "var", "var/empty"});
}

TEST_CASE("What changed in the sources of a workspace is done to what the last build left") {
  Stages s;
  s.place.file("built/b/x", "1");
  s.place.file("built/b/y", "built over");
  s.place.file("built/b/made", "m");
  s.place.file("built/e/made", "in a directory that becomes a file");
  s.place.file("built/f", "built over");
  s.place.file("built/z/z", "zz");
  s.place.file("built/z/made", "goes with its directory");
  s.place.link("built/l", "b");
  s.place.file("built/made", "m");
  Tree tree = must(Tree::open(s.cas, must(import_tree(s.cas, s.place / "built"))));
  must(tree.apply_changes(s.a, s.b));
  // b/y, z and what was in d went from the sources; f, which the build had changed, has changed in
  // the sources too.
  CHECK(must(tree.list()) ==
        Paths{"a", "d", "e", "f", "l", "made", "b", "b/made", "b/n", "b/x", "q", "q/r", "q/r/s"});
  const auto text = [&](const char* path) {
    return must(s.cas.read(must(tree.find(path))->digest));
  };
  CHECK(text("b/x") == "one");
  CHECK(text("e") == "efile");
  CHECK(text("f") == "f2");
  CHECK(must(tree.find("l"))->target == "x");

  // All that the build made stays when nothing changed in the sources.
  Tree same = must(Tree::open(s.cas, must(import_tree(s.cas, s.place / "built"))));
  const Digest before = must(same.digest());
  must(same.apply_changes(s.a, s.a));
  CHECK(must(same.digest()) == before);
}

TEST_CASE("Paths can't leave a tree") {
  Stages s;
  Tree tree(s.cas);
  for (const char* path : {"..", "a/../b", "a/./b", "a//b", ".", "//a"}) {
    INFO(path);
    CHECK(reason(tree.make_directory(path)) == "virtual-fs/bad-path");
    CHECK(reason(tree.put_file(path, empty_digest(), false)) == "virtual-fs/bad-path");
    CHECK(reason(tree.merge(s.a, path)) == "virtual-fs/bad-path");
    CHECK(reason(tree.find(path)) == "virtual-fs/bad-path");
    CHECK(reason(tree.remove(path)) == "virtual-fs/bad-path");
  }
  CHECK(reason(tree.put_file("", empty_digest(), false)) == "virtual-fs/bad-path");
  CHECK(reason(tree.put_file("a", Digest{"../x", 0}, false)) == "cas/bad-digest");
  CHECK(must(tree.list()).empty());
}

TEST_CASE("What a script element marks read-only stays marked, and so does a file's time") {
  Stages s;
  const Digest blob = must(s.cas.add("x"));
  Directory marked;
  marked.subtree_read_only = true;
  marked.files = {{"f", blob, false, Timestamp{7, 0}}};
  const Digest root = must(s.cas.add(encode_directory(marked)));
  const Digest above = must(s.cas.add(encode_directory({{}, {{"m", root}}, {}, {}, {}})));
  Tree tree(s.cas);
  must(tree.merge(above, ""));
  CHECK(must(tree.directory_digest("m")) == root);
  must(tree.put_file("m/g", blob, false));
  const Directory found = must(read_directory(s.cas, [&] {
    must(tree.store(s.cas));
    return must(tree.directory_digest("m"));
  }()));
  CHECK(found.subtree_read_only == true);
  CHECK(found.files.at(0).mtime == Timestamp{7, 0});
}

}  // namespace
}  // namespace sluice::store
