// What is taken from a runner that has a store of its own, and what isn't: with a real store.
#include "scheduler/adoption.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "scheduler/store_view.h"
#include "store/directory.h"
#include "store/key_inputs.h"
#include "store/test_store.h"

namespace sluice::scheduler {
namespace {

using store::test::must;
using store::test::Place;
using store::test::reason;

const std::string kStrong(64, 'a'), kWeak(64, 'b'), kStrict(64, 'c'), kOther(64, 'd');

// The store after an upload: everything but refs.
struct Sent {
  Place place;
  store::Cas cas = place.open();
  store::ArtifactInfo info;
  Adoption wanted;
  std::unique_ptr<StoreView> view = make_store_view();

  Sent() {
    model::Settings settings;
    settings.cachedir = cas.cachedir();
    must(view->open(settings));
    place.file("files/usr/bin/app", "#!/bin/sh\n", 0755);
    place.file("files/usr/share/doc", "text");
    place.file("tree/app.c", "int main;");
    info.build_success = true;
    info.build_error = "succeeded";
    info.strong_key = kStrong;
    info.weak_key = kWeak;
    info.strict_key = kStrict;
    info.files = must(store::import_tree(cas, place / "files"));
    info.buildtree = must(store::import_tree(cas, place / "tree"));
    info.build_deps = {{"proj", "base.bst", kOther, false}};
    info.logs = {{"aaaaaaaa-build.20260101-000000.log", must(cas.add("log\n"))}};
    store::ArtifactMeta meta;
    meta.public_data = model::Node::make_map();
    meta.environment = {{"PATH", "/usr/bin"}};
    meta.sandbox_config = store::sandbox_config_node({"linux", "x86-64", 0, 0});
    must(store::write_meta(cas, meta, info));
    wanted.project = "proj";
    wanted.element = "app.bst";
    wanted.keys = {kWeak, kStrict, kStrong};
    wanted.dependencies = {{"proj", "base.bst", kOther}};
    wanted.log_name = "aaaaaaaa-build.20260101-000000.log";
    wanted.key_inputs = "{}";
  }
  // The message as a runner's own store has it, as a blob.
  model::Digest message(const store::ArtifactInfo& of) {
    store::Artifacts artifacts(cas);
    must(artifacts.commit("elsewhere", "x.bst", of));
    const std::string ref = store::artifact_ref("elsewhere", "x.bst", of.strong_key);
    const std::string bytes = *must(artifacts.message(ref));
    for (const std::string* key : {&of.strong_key, &of.weak_key})
      must(artifacts.remove(store::artifact_ref("elsewhere", "x.bst", *key)));
    return must(cas.add(bytes));
  }
  std::vector<std::string> refs() { return must(store::Artifacts(cas).list()); }
};

}  // namespace

TEST_CASE("A good artifact gets its refs, as a build here would have written them (J86)") {
  Sent sent;
  const model::Digest message = sent.message(sent.info);
  must(sent.view->adopt(sent.wanted, message));
  CHECK(sent.refs().size() == 2);
  const store::Artifacts artifacts(sent.cas);
  for (const std::string& key : {kStrong, kWeak}) {
    const auto bytes = must(artifacts.message(store::artifact_ref("proj", "app.bst", key)));
    REQUIRE(bytes);
    CHECK(store::digest_of(*bytes) == message);
  }
  CHECK(must(store::read_key_inputs(sent.cas, kStrong)) == "{}");
  CHECK_FALSE(must(store::SourceRefs(sent.cas).lookup_element(store::kNoSources)));
  const auto committed = must(sent.view->committed({"proj", "app.bst", kStrong}));
  REQUIRE(committed);
  CHECK(committed->files == sent.info.files);
}

TEST_CASE("An element without sources leaves behind that it has none (J86)") {
  Sent sent;
  sent.wanted.has_sources = false;
  must(sent.view->adopt(sent.wanted, sent.message(sent.info)));
  CHECK(must(store::SourceRefs(sent.cas).lookup_element(store::kNoSources)));
}

TEST_CASE("What isn't the attempt's artifact is refused, and writes nothing (J86)") {
  Sent sent;
  const auto refused = [&](const store::ArtifactInfo& info, std::string_view why) {
    const auto adopted = sent.view->adopt(sent.wanted, sent.message(info));
    CHECK(reason(adopted) == "remote/bad-result");
    if (!adopted) CHECK_THAT(adopted.error().message, Catch::Matchers::Contains(std::string(why)));
    CHECK(sent.refs().empty());
  };
  store::ArtifactInfo info = sent.info;
  SECTION("another strong key") {
    info.strong_key = kOther;
    refused(info, "strong key");
  }
  SECTION("another weak key") {
    info.weak_key = kOther;
    refused(info, "weak key");
  }
  SECTION("another strict key") {
    info.strict_key = kOther;
    refused(info, "strict key");
  }
  SECTION("another outcome") {
    info.build_success = false;
    refused(info, "outcome");
  }
  SECTION("other dependencies") {
    info.build_deps.front().element = "evil.bst";
    refused(info, "dependencies");
  }
  SECTION("no dependencies") {
    info.build_deps.clear();
    refused(info, "dependencies");
  }
  SECTION("a workspace's") {
    info.was_workspaced = true;
    refused(info, "workspace");
  }
  SECTION("a log that leaves its directory") {
    info.logs.front().name = "../../../.bashrc";
    refused(info, "log");
  }
  SECTION("metadata that is no YAML map") {
    info.public_data = must(sent.cas.add("- [unclosed"));
    refused(info, "can't be taken");
  }
}

TEST_CASE("What isn't wholly there is refused (J86)") {
  Sent sent;
  const model::Digest message = sent.message(sent.info);
  const auto refused = [&](const model::Digest& named) {
    CHECK(reason(sent.view->adopt(sent.wanted, named)) == "remote/bad-result");
    CHECK(sent.refs().empty());
  };
  SECTION("the message") { refused({std::string(64, 'f'), 100}); }
  SECTION("no digest at all") { refused({"../../etc/passwd", 5}); }
  SECTION("a message as large as can be") { refused({message.hash, std::int64_t{1} << 40}); }
  SECTION("something else than a message") { refused(must(sent.cas.add("no message"))); }
  SECTION("a file of the tree") {
    must(sent.cas.remove(store::digest_of("text")));
    refused(message);
  }
  SECTION("a file of the build tree") {
    must(sent.cas.remove(store::digest_of("int main;")));
    refused(message);
  }
  SECTION("a directory") {
    must(sent.cas.remove(sent.info.files));
    refused(message);
  }
  SECTION("metadata") {
    must(sent.cas.remove(sent.info.high_diversity_meta));
    refused(message);
  }
  SECTION("the log") {
    must(sent.cas.remove(sent.info.logs.front().digest));
    refused(message);
  }
  SECTION("a tree that is known, under another size") {
    must(sent.view->adopt(sent.wanted, message));
    for (const std::string& key : {kStrong, kWeak})
      must(store::Artifacts(sent.cas).remove(store::artifact_ref("proj", "app.bst", key)));
    // Encoded by hand, since no commit() writes what isn't there.
    std::string bytes = must(sent.cas.read(message));
    const std::size_t at = bytes.find(sent.info.files.hash);
    REQUIRE(at != std::string::npos);
    // Behind the hash stands the field of the size, and the size as a number of one byte or two.
    const std::size_t size = at + sent.info.files.hash.size();
    REQUIRE(bytes[size] == 0x10);
    bytes[size + 1] = static_cast<char>(bytes[size + 1] ^ 1);
    refused(must(sent.cas.add(bytes)));
  }
}

TEST_CASE("A log that was sent lies where the session's logs lie; else its end does (J85)") {
  Sent sent;
  const std::string path = sent.place / "logs/proj/app/log";
  const model::Digest log = must(sent.cas.add("one\ntwo\n"));
  must(sent.view->keep_log(log, "two", path));
  CHECK(must(read_file(path)) == "one\ntwo\n");
  CHECK(sent.view->log_tail(path, 1) == "two");
  must(sent.cas.remove(log));
  must(sent.view->keep_log(log, "two", path));
  CHECK_THAT(must(read_file(path)), Catch::Matchers::EndsWith("its end.)\ntwo\n"));
  // Of one that is very long the end is kept; what is there isn't even looked at.
  const model::Digest huge{std::string(64, 'a'), (std::int64_t{1} << 30) + 1};
  const std::string object = sent.cas.object_path(huge);
  must(make_directories(object.substr(0, object.rfind('/'))));
  must(write_file_atomic(object, ""));
  std::filesystem::resize_file(object, (std::uintmax_t{1} << 30) + 1);
  must(sent.view->keep_log(huge, "the end of much", path));
  CHECK_THAT(must(read_file(path)), Catch::Matchers::EndsWith("its end.)\nthe end of much\n"));
  CHECK_THAT(must(read_file(path)), Catch::Matchers::Contains("1073741825 bytes"));
  CHECK(path_exists(object));  // nobody hashed it
  must(sent.view->keep_log({"../x", 1}, "three", path));
  CHECK(sent.view->log_tail(path, 1) == "three");
  must(sent.view->keep_log({}, "", sent.place / "logs/none"));
  CHECK_FALSE(path_exists(sent.place / "logs/none"));
}

TEST_CASE("The last build of a workspace is named when its trees are there (J81)") {
  Sent sent;
  const model::Digest message = sent.message(sent.info);
  must(sent.view->adopt(sent.wanted, message));
  CHECK_FALSE(must(sent.view->message_of({"proj", "app.bst", kStrong})));  // it has no sources
  CHECK_FALSE(must(sent.view->message_of({"proj", "app.bst", kOther})));
}

}  // namespace sluice::scheduler
