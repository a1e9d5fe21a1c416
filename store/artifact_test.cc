#include "store/artifact.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/check.h"
#include "store/directory.h"
#include "store/sources.h"
#include "store/test_store.h"
#include "store/tree.h"
#include "yaml/dump.h"

namespace sluice::store {
namespace {

using model::Node;
using test::must;
using test::Place;
using test::reason;

const std::string kStrong(64, 'a');
const std::string kWeak(64, 'b');

struct Built {
  Place place;
  Cas cas = place.open();
  ArtifactInfo info;

  Built() {
    place.file("files/usr/bin/hello", "#!/bin/sh\n", 0755);
    place.file("files/usr/share/doc", "words");
    place.file("tree/hello.c", "int main;");
    info.build_success = true;
    info.build_error = "succeeded";
    info.strong_key = kStrong;
    info.strict_key = kStrong;
    info.weak_key = kWeak;
    info.files = must(import_tree(cas, place / "files"));
    info.buildtree = must(import_tree(cas, place / "tree"));
    info.build_deps = {{"proj", "base/zlib.bst", std::string(64, 'c'), false},
                       {"other", "x.bst", std::string(64, 'd'), true}};
    info.logs = {{"aaaaaaaa-build.20260101-000000.log", must(cas.add("log\n"))}};
    ArtifactInfo::SandboxState sandbox;
    sandbox.environment = {{"PATH", "/usr/bin"}, {"A", "b"}};
    sandbox.working_directory = "/buildstream/p/e.bst";
    sandbox.marked_directories = {"/buildstream-install"};
    info.sandbox = sandbox;
    ArtifactMeta meta;
    meta.public_data = Node::make_map();
    meta.environment = {{"PATH", "/usr/bin:/bin"}};
    meta.sandbox_config = sandbox_config_node({"linux", "x86-64", 0, 0});
    meta.variables = {{"prefix", "/usr"}};
    must(write_meta(cas, meta, info));
  }
};

TEST_CASE("Refs are named as BuildStream names them") {
  CHECK(artifact_ref("p", "base/sub/zlib.bst", "k") == "p/base-sub-zlib/k");
  CHECK(artifact_ref("p", "foo-1.2.bst", "k") == "p/foo-1.2/k");
  CHECK(artifact_ref("p", "a b:c+d.bst", "k") == "p/a_b_c_d/k");
  CHECK(artifact_ref("p", "na\xc3\xafve.bst", "k") == "p/na_ve/k");
  CHECK(artifact_ref("p", "noext", "k") == "p/noext/k");
  CHECK(artifact_ref("p", ".bst", "k") == "p/.bst/k");
}

TEST_CASE("An artifact comes back under both keys with every field") {
  Built b;
  Artifacts artifacts(b.cas);
  must(artifacts.commit("proj", "base/hello.bst", b.info));
  CHECK(path_exists(b.place / "cache/artifacts/refs/proj/base-hello/" + kStrong));
  CHECK(path_exists(b.place / "cache/artifacts/refs/proj/base-hello/" + kWeak));
  for (const std::string& key : {kStrong, kWeak}) {
    const auto found = must(artifacts.lookup("proj", "base/hello.bst", key));
    REQUIRE(found);
    CHECK(found->version == 2);
    CHECK(found->build_success);
    CHECK(found->build_error == "succeeded");
    CHECK(found->strong_key == kStrong);
    CHECK(found->strict_key == kStrong);
    CHECK(found->weak_key == kWeak);
    CHECK(found->files == b.info.files);
    CHECK(found->buildtree == b.info.buildtree);
    CHECK(found->buildroot.empty());
    CHECK(found->sources.empty());
    CHECK(found->public_data == b.info.public_data);
    CHECK(found->low_diversity_meta == b.info.low_diversity_meta);
    CHECK(found->high_diversity_meta == b.info.high_diversity_meta);
    REQUIRE(found->build_deps.size() == 2);
    CHECK(found->build_deps[0].element == "base/zlib.bst");
    CHECK(found->build_deps[1].was_workspaced);
    REQUIRE(found->logs.size() == 1);
    CHECK(found->logs[0].name == "aaaaaaaa-build.20260101-000000.log");
    REQUIRE(found->sandbox);
    CHECK(found->sandbox->environment == model::StringMap{{"A", "b"}, {"PATH", "/usr/bin"}});
    CHECK(found->sandbox->working_directory == "/buildstream/p/e.bst");
    CHECK(found->sandbox->marked_directories == std::vector<std::string>{"/buildstream-install"});
  }
  CHECK_FALSE(must(artifacts.lookup("proj", "other.bst", kStrong)));
  CHECK(must(artifacts.list()).size() == 2);
  must(artifacts.remove("proj/base-hello/" + kWeak));
  CHECK(must(artifacts.list()) == std::vector<std::string>{"proj/base-hello/" + kStrong});
  must(artifacts.remove("proj/base-hello/" + kStrong));
  CHECK_FALSE(path_exists(b.place / "cache/artifacts/refs/proj"));
}

TEST_CASE("The message's bytes are those that BuildStream's own encoder gives") {
  // The digest is printed in a reference root by these lines of Python, with E the SHA-256 of
  // nothing:
  //
  //   from buildstream._protos.buildstream.v2.artifact_pb2 import Artifact
  //   a = Artifact(version=2, build_success=True, build_error="succeeded",
  //                strong_key="a"*64, weak_key="b"*64, strict_key="a"*64)
  //   for f in (a.public_data, a.low_diversity_meta, a.high_diversity_meta):
  //       f.hash = E; f.size_bytes = 0
  //   print(hashlib.sha256(a.SerializeToString()).hexdigest())
  Place place;
  Cas cas = place.open();
  must(cas.add(""));
  ArtifactInfo info;
  info.build_success = true;
  info.build_error = "succeeded";
  info.strong_key = info.strict_key = kStrong;
  info.weak_key = kWeak;
  info.public_data = info.low_diversity_meta = info.high_diversity_meta = empty_digest();
  must(Artifacts(cas).commit("p", "e.bst", info));
  const std::string bytes = must(read_file(place / "cache/artifacts/refs/p/e/" + kStrong));
  CHECK(digest_of(bytes).hash ==
        "ce9bb1244a2e66f2039240017252bf7b1f19cfb25c758eadbc6e89f92060ec7a");
}

TEST_CASE(
    "An artifact with any of its essential blobs missing is not cached; a missing build tree is no "
    "matter") {
  Built b;
  Artifacts artifacts(b.cas);
  must(artifacts.commit("proj", "e.bst", b.info));
  const auto cached = [&] { return must(artifacts.lookup("proj", "e.bst", kStrong)).has_value(); };
  REQUIRE(cached());
  SECTION("build tree") {
    must(b.cas.remove(b.info.buildtree));
    CHECK(cached());
    CHECK_FALSE(artifacts.tree_complete(b.info.buildtree));
  }
  SECTION("public data") {
    must(b.cas.remove(b.info.public_data));
    CHECK_FALSE(cached());
  }
  SECTION("environment") {
    must(b.cas.remove(b.info.low_diversity_meta));
    CHECK_FALSE(cached());
  }
  SECTION("variables") {
    must(b.cas.remove(b.info.high_diversity_meta));
    CHECK_FALSE(cached());
  }
  SECTION("log") {
    must(b.cas.remove(b.info.logs[0].digest));
    CHECK_FALSE(cached());
  }
  SECTION("root directory") {
    must(b.cas.remove(b.info.files));
    CHECK_FALSE(cached());
  }
  SECTION("a file deep in it") {
    must(b.cas.remove(digest_of("words")));
    CHECK_FALSE(cached());
    const auto report = must(verify_all(b.cas));
    CHECK(report.incomplete.size() == 2);  // the refs under both keys
    CHECK(report.corrupt.empty());
  }
  SECTION("a file cut short") {
    const std::string path = b.cas.object_path(digest_of("words"));
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    REQUIRE(::truncate(path.c_str(), 2) == 0);
    CHECK_FALSE(cached());
    const auto report = must(verify_all(b.cas));
    CHECK(report.incomplete.size() == 2);
    CHECK(report.corrupt.size() == 1);
  }
  SECTION("a file with another byte: whoever looks at all of it finds it") {
    const std::string path = b.cas.object_path(digest_of("words"));
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    UniqueFd fd(::open(path.c_str(), O_WRONLY));
    must(write_all(fd.get(), "Words"));
    CHECK(cached());
    SECTION("drop_damaged") { CHECK(must(drop_damaged(b.cas, b.info.files)) == 1); }
    SECTION("a repair, which removes the refs too") {
      CHECK(must(verify_all(b.cas)).corrupt.size() == 1);
      const auto report = must(verify_all(b.cas, true));
      CHECK(report.removed == 3);
      CHECK(report.left == 0);
      CHECK(must(verify_all(b.cas)).good());
      CHECK(must(artifacts.list()).empty());
    }
    CHECK_FALSE(cached());
  }
  SECTION("a file that is no object is told and stays") {
    must(write_file_atomic(b.place / "cache/cas/objects/README", "mine"));
    REQUIRE(::mkdir((b.place / "cache/cas/objects/zz").c_str(), 0755) == 0);
    must(write_file_atomic(b.place / "cache/cas/objects/zz/notes", "mine"));
    const auto report = must(verify_all(b.cas, true));
    CHECK(report.corrupt.size() == 2);
    CHECK(report.left == 2);
    CHECK(path_exists(b.place / "cache/cas/objects/zz/notes"));
    CHECK(path_exists(b.place / "cache/cas/objects/README"));
    CHECK(cached());
  }
  SECTION("the ref itself is damaged") {
    must(
        write_file_atomic(b.place / "cache/artifacts/refs/proj/e/" + kStrong, "\xff\xff nonsense"));
    CHECK_FALSE(cached());
    CHECK(reason(artifacts.read("proj", "e.bst", kStrong)) == "artifact/bad-artifact");
    CHECK(must(verify_all(b.cas)).corrupt.size() == 1);
  }
  SECTION("the ref is empty") {
    must(write_file_atomic(b.place / "cache/artifacts/refs/proj/e/" + kStrong, ""));
    CHECK_FALSE(cached());
  }
}

TEST_CASE("A commit that refers to what isn't there writes nothing") {
  Built b;
  Artifacts artifacts(b.cas);
  SECTION("a file of the tree") { must(b.cas.remove(digest_of("words"))); }
  SECTION("the build tree") { must(b.cas.remove(b.info.buildtree)); }
  SECTION("no metadata") { b.info.public_data = {}; }
  CHECK(reason(artifacts.commit("proj", "e.bst", b.info)) == "cas/missing-blob");
  CHECK(must(artifacts.list()).empty());
}

TEST_CASE("The ref under the strong key is written last") {
  Built b;
  Artifacts artifacts(b.cas);
  must(artifacts.commit("proj", "other.bst", b.info));
  const auto bytes = must(artifacts.message("proj/other/" + kStrong));
  REQUIRE(bytes);
  for (const bool adopt : {false, true}) {
    const std::string element = adopt ? "adopted" : "committed";
    const std::string in_the_way = b.place / "cache/artifacts/refs/proj/" + element + "/" + kWeak;
    REQUIRE(::system(("mkdir -p " + in_the_way + "/x").c_str()) == 0);
    for (const std::string& asked : {kStrong, kWeak}) {
      const auto done = adopt ? artifacts.adopt("proj/" + element + "/" + asked, *bytes, true)
                              : artifacts.commit("proj", element + ".bst", b.info);
      CHECK_FALSE(done);
      CHECK_FALSE(must(artifacts.read("proj", element + ".bst", kStrong)));
    }
  }
}

TEST_CASE("Names that would leave the refs are refused") {
  Built b;
  Artifacts artifacts(b.cas);
  CHECK(reason(artifacts.commit("..", "e.bst", b.info)) == "artifact/bad-artifact");
  CHECK(reason(artifacts.commit("a/b", "e.bst", b.info)) == "artifact/bad-artifact");
  CHECK(reason(artifacts.lookup_ref("../../../etc")) == "artifact/bad-artifact");
  CHECK(reason(artifacts.lookup_ref("a/b/c/d")) == "artifact/bad-artifact");
  CHECK(reason(artifacts.lookup_ref("a/b")) == "artifact/bad-artifact");
  CHECK(reason(artifacts.lookup("p", "..bst", kStrong)) != "util/enoent");
  CHECK(reason(artifacts.remove("../x/y")) == "artifact/bad-artifact");
  b.info.strong_key = "../../x";
  CHECK(reason(artifacts.commit("proj", "e.bst", b.info)) == "artifact/bad-artifact");
}

TEST_CASE("Reading an artifact renews its place in the order of use") {
  Built b;
  Artifacts artifacts(b.cas);
  must(artifacts.commit("proj", "one.bst", b.info));
  b.info.weak_key = kStrong;
  must(artifacts.commit("proj", "two.bst", b.info));
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  for (const char* name : {"one/", "two/"}) {
    const std::string path = b.place / "cache/artifacts/refs/proj/" + name + kStrong;
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  REQUIRE(must(artifacts.lookup("proj", "one.bst", kStrong)));
  const auto refs = must(artifacts.list());
  REQUIRE(refs.size() == 3);
  CHECK(refs.front() == "proj/two/" + kStrong);
}

TEST_CASE("Metadata is written as YAML and read back the same") {
  Place place;
  Cas cas = place.open();
  ArtifactMeta meta;
  meta.public_data = Node::make_map();
  Node bst = Node::make_map();
  Node commands = Node::make_list();
  for (const char* text : {"echo \"hi\"",
                           "a: b",
                           "# no comment",
                           "- dash",
                           " leading",
                           "trailing ",
                           "multi\nline\n\n",
                           "tab\there",
                           "",
                           "~",
                           "null",
                           "true",
                           "%{x}",
                           "'single'",
                           "\\back",
                           "{brace}",
                           "[x]",
                           "*star",
                           "&amp",
                           "!tag",
                           "|",
                           ">",
                           "@at",
                           "`tick`",
                           "na\xc3\xafve \xe2\x82\xac",
                           "\x01\x1b[0m",
                           "ls\xe2\x80\xa8x",
                           "bom\xef\xbb\xbfx",
                           "...",
                           "---",
                           "1.5",
                           "/usr/lib/lib*.so*",
                           "key: value",
                           "a #b",
                           "?",
                           "-"}) {
    commands.list.push_back(Node::make_scalar(text));
  }
  bst.set("integration-commands", commands);
  bst.set("empty map", Node::make_map());
  bst.set("empty list", Node::make_list());
  bst.set("nested",
          Node::make_list({Node::make_list({Node::make_scalar("x"),
                                            Node::make_map({{"k", Node::make_scalar("v")}})}),
                           Node::make_map({{"m", Node::make_list({Node::make_scalar("y")})}})}));
  bst.set("odd: key\n", Node::make_scalar("v"));
  bst.set(std::string(3000, 'k'), Node::make_list({Node::make_scalar("long")}));
  meta.public_data.set("bst", bst);
  meta.environment = {{"PATH", "/usr/bin:/bin"}, {"EMPTY", ""}, {"Q", "a\"b"}};
  meta.sandbox_config = sandbox_config_node({"linux", "x86-64", 5, 0});
  meta.variables = {{"max-jobs", "2"}, {"strip", "find . -type f\n  | xargs\n"}};
  ArtifactInfo info;
  must(write_meta(cas, meta, info));
  const ArtifactMeta back = must(read_meta(cas, info));
  // White space at the ends is lost, as in BuildStream.
  CHECK(back.public_data != meta.public_data);
  CHECK(back.public_data == yaml::stripped(meta.public_data));
  const auto kept = back.public_data.find("bst")->get_strings("integration-commands");
  REQUIRE(kept.size() > 6);
  CHECK(kept[4] == "leading");
  CHECK(kept[5] == "trailing");
  CHECK(kept[6] == "multi\nline");
  CHECK(back.environment == meta.environment);
  CHECK(back.variables ==
        model::StringMap{{"max-jobs", "2"}, {"strip", "find . -type f\n  | xargs"}});
  CHECK(back.sandbox_config == meta.sandbox_config);
  CHECK(back.sandbox_config.get_string("build-uid") == "5");
  CHECK(must(read_public_data(cas, info.public_data)) == back.public_data);

  // U+0085 is a line break to BuildStream, which reads what it has written as a space.
  meta.public_data = Node::make_map({{"k", Node::make_scalar("nel\xc2\x85x")}});
  must(write_meta(cas, meta, info));
  CHECK(must(cas.read(info.public_data)) == "k: 'nel\xc2\x85  x'\n");
  CHECK(must(read_public_data(cas, info.public_data)).get_string("k") == "nel x");
}

TEST_CASE("What BuildStream writes is read as it means it: every scalar is text") {
  Place place;
  Cas cas = place.open();
  const Digest digest = must(
      cas.add("a: null\nb: ~\nc:\nd: yes\ne: 0x10\nf: |\n  two\n  lines\ng:\n- 'q'\n- Null\n"));
  const Node node = must(read_public_data(cas, digest));
  CHECK(node.get_string("a") == "null");
  CHECK(node.get_string("b") == "~");
  CHECK(node.get_string("c", "x").empty());
  CHECK(node.get_string("d") == "yes");
  CHECK(node.get_string("e") == "0x10");
  CHECK(node.get_string("f") == "two\nlines");
  CHECK(node.get_strings("g") == std::vector<std::string>{"q", "Null"});
  for (const char* bad : {"- list\n", "a: [", "a: *alias\n", "a: b: c", "? [x]\n: y\n"}) {
    INFO(bad);
    CHECK(reason(read_public_data(cas, must(cas.add(bad)))) == "artifact/bad-artifact");
  }
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "[";
  CHECK(reason(read_public_data(cas, must(cas.add("a: " + deep)))) == "artifact/bad-artifact");
}

TEST_CASE("An artifact that BuildStream wrote is read with all it says") {
  // testdata/README.md says how this artifact was made.
  const std::string data = SLUICE_STORE_TESTDATA;
  Place place;
  Cas cas = place.open();
  const std::string key = "4721733fa3af629f1749939fb1e0021e00bc184a533ffdba25cc64b4ee6f05a2";
  const std::string weak = "6857dab645205d4ab79c5060645fe408849b49149ab09efd0b8cbc93020e57b4";
  place.file("cache/artifacts/refs/stp/top/" + key, must(read_file(data + "/top.artifact")));
  Artifacts artifacts(cas);
  CHECK_FALSE(must(artifacts.lookup("stp", "top.bst", key)));  // no blob is there yet
  const auto info = must(artifacts.read("stp", "top.bst", key));
  REQUIRE(info);
  CHECK(info->version == 2);
  CHECK(info->build_success);
  CHECK(info->build_error == "succeeded");
  CHECK(info->build_error_details.empty());
  CHECK(info->strong_key == key);
  CHECK(info->strict_key == key);
  CHECK(info->weak_key == weak);
  CHECK(info->files ==
        Digest{"b26441836d606c1db7be433510122c9e21b46c17e70b43d564abdd840d81adc3", 96});
  CHECK(info->buildtree.empty());
  CHECK_FALSE(info->sandbox);
  REQUIRE(info->build_deps.size() == 1);
  CHECK(info->build_deps[0].project == "stp");
  CHECK(info->build_deps[0].element == "imp.bst");
  CHECK(info->build_deps[0].key ==
        "3d86c4dcb6796524b168db4a3ee691fd886d4c8857863156c1fd648ff4ab3416");
  REQUIRE(info->logs.size() == 1);
  CHECK(info->logs[0].name == "4721733f-build.20261122-114114.log");

  CHECK(must(cas.add_file(data + "/low_diversity_meta.yaml")) == info->low_diversity_meta);
  CHECK(must(cas.add_file(data + "/high_diversity_meta.yaml")) == info->high_diversity_meta);
  ArtifactInfo other = *info;
  other.public_data = must(cas.add_file(data + "/public_data.yaml"));
  const ArtifactMeta meta = must(read_meta(cas, other));
  const Node* bst = meta.public_data.find("bst");
  REQUIRE(bst != nullptr);
  CHECK(bst->get_strings("integration-commands") == std::vector<std::string>{"echo hi \"there\""});
  REQUIRE(meta.public_data.find("other") != nullptr);
  CHECK(meta.public_data.find("other")->get_string("a") == "yes");
  CHECK(meta.public_data.find("other")->get_string("b") == "multi\nline");
  CHECK(meta.environment.size() == 10);
  CHECK(meta.sandbox_config == sandbox_config_node({"linux", "x86-64", 0, 0}));
  REQUIRE(model::find_string(meta.variables, "strip-binaries") != nullptr);
  CHECK(model::find_string(meta.variables, "strip-binaries")->empty());
  CHECK(*model::find_string(meta.variables, "build-root") == "/buildstream/stp/top.bst");

  // The message has the same bytes when it is written again.
  Tree tree(cas);
  must(tree.put_symlink("link", "../a.txt"));
  must(tree.put_file("deep/x", must(cas.add("x")), true));
  REQUIRE(must(tree.store(cas)) == info->files);
  ArtifactInfo same = *info;
  const Digest log = must(cas.add("log"));
  same.logs[0].digest = log;
  same.public_data = other.public_data;
  must(artifacts.commit("stp", "top.bst", same));
  std::string bytes = must(read_file(place / "cache/artifacts/refs/stp/top/" + key));
  const std::string written = must(read_file(data + "/top.artifact"));
  // Only what was replaced differs: the log's and the public data's digest.
  const auto replace = [&bytes](const std::string& from, const std::string& to) {
    const auto at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    bytes.replace(at, from.size(), to);
  };
  const auto digest_bytes = [](const Digest& digest) {
    std::string out = "\x0a\x40" + digest.hash + "\x10";
    std::uint64_t size = static_cast<std::uint64_t>(digest.size);
    for (; size >= 128; size >>= 7) out += static_cast<char>((size & 127) | 128);
    return out + static_cast<char>(size);
  };
  replace(digest_bytes(same.public_data), digest_bytes(info->public_data));
  const std::string short_log = digest_bytes(log);
  const std::string long_log = digest_bytes(info->logs[0].digest);
  REQUIRE(long_log.size() == short_log.size() + 1);  // two lengths around it grow by one
  std::size_t at = bytes.find(short_log);
  REQUIRE(at != std::string::npos);
  bytes.replace(at, short_log.size(), long_log);
  ++bytes[at - 1];
  at = bytes.rfind('\x5a', at);  // the length of field 11
  ++bytes[at + 1];
  CHECK(bytes == written);
}

TEST_CASE("Sources are kept as BuildStream keeps them") {
  Built b;
  SourceRefs sources(b.cas);
  const std::string key(64, 'e');
  CHECK_FALSE(must(sources.lookup_element(key)));
  must(sources.store_element(key, b.info.files));
  must(sources.store_source("tar", key, b.info.buildtree));
  CHECK(must(sources.lookup_element(key)) == b.info.files);
  CHECK(must(sources.lookup_source("tar", key)) == b.info.buildtree);
  CHECK_FALSE(must(sources.lookup_source("local", key)));
  CHECK(path_exists(b.place / "cache/elementsources/" + key));
  CHECK(path_exists(b.place / "cache/source_protos/tar/" + key));
  // A Source message with only `files` (field 2), as BuildStream's encoder writes it.
  const std::string bytes = must(read_file(b.place / "cache/elementsources/" + key));
  CHECK(bytes.substr(0, 4) == std::string("\x12\x44\x0a\x40", 4));
  CHECK(bytes.substr(4, 64) == b.info.files.hash);
  CHECK(must(verify_all(b.cas)).refs == 2);

  SECTION("a blob of the tree is gone") {
    must(b.cas.remove(digest_of("words")));
    CHECK_FALSE(must(sources.lookup_element(key)));
    CHECK(must(verify_all(b.cas)).incomplete.size() == 1);
  }
  SECTION("the message is damaged") {
    must(write_file_atomic(b.place / "cache/elementsources/" + key, "\xff\xff"));
    CHECK_FALSE(must(sources.lookup_element(key)));
    CHECK(must(verify_all(b.cas)).corrupt.size() == 1);
  }
  CHECK(reason(sources.lookup_element("../" + key)) == "source/bad-key");
  CHECK(reason(sources.store_source("../tar", key, b.info.files)) == "source/bad-key");
  CHECK(reason(sources.store_source("tar", "KEY", b.info.files)) == "source/bad-key");
}

TEST_CASE("The artifacts of one element are listed by their use") {
  Built b;
  Artifacts artifacts(b.cas);
  must(artifacts.commit("proj", "base/hello.bst", b.info));
  must(artifacts.commit("proj", "other.bst", b.info));
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  REQUIRE(::utimensat(AT_FDCWD,
                      (b.place / ("cache/artifacts/refs/proj/base-hello/" + kStrong)).c_str(),
                      times, 0) == 0);
  CHECK(must(artifacts.list_of("proj", "base/hello.bst")) ==
        std::vector<std::string>{"proj/base-hello/" + kStrong, "proj/base-hello/" + kWeak});
  CHECK(must(artifacts.list_of("proj", "none.bst")).empty());
  CHECK(reason(artifacts.list_of("..", "none.bst")) == "artifact/bad-artifact");
}

}  // namespace
}  // namespace sluice::store
