// What sluice-remote does, with servers that are plain memory and do as they are told.
#include "remote/requests.h"

#include <map>
#include <mutex>

#include "remote/test_remote.h"
#include "store/tree.h"

namespace sluice::remote {
namespace {

using namespace test;

// One server's content, and how it misbehaves.
struct World {
  std::map<std::string, std::string> blobs;          // by hash
  std::map<std::string, Digest> names, directories;  // by URI
  std::size_t limit = 100'000;
  std::string broken;  // this call fails: "remote-failed"
  bool down = false;   // all do: "unreachable"
  bool full = false;
  bool answers_unasked = false;
  std::map<std::string, std::string> lies;  // what comes for a hash
  std::vector<std::string> calls;
  std::mutex lock;

  void forget(const Digest& digest) { blobs.erase(digest.hash); }
};

class FakePeer final : public Peer {
 public:
  FakePeer(RemoteSpec spec, World& world) : spec_(std::move(spec)), world_(world) {}
  const RemoteSpec& spec() const override { return spec_; }

  Result<std::size_t> batch_limit() override {
    if (auto up = called("limit"); !up) return forward(up);
    return world_.limit;
  }
  Status check_index() override { return called("check"); }
  Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) override {
    if (auto up = called("missing"); !up) return forward(up);
    const std::lock_guard guard(world_.lock);
    std::vector<Digest> found;
    for (const Digest& digest : digests) {
      if (!world_.blobs.contains(digest.hash)) found.push_back(digest);
    }
    if (world_.answers_unasked) found.push_back(store::digest_of("a secret"));
    return found;
  }
  Result<std::vector<PeerBlob>> read_batch(const std::vector<Digest>& digests) override {
    if (auto up = called("read-batch"); !up) return forward(up);
    std::vector<PeerBlob> found;
    for (const Digest& digest : digests) {
      auto data = content(digest);
      if (data) found.push_back({digest, *data, {}});
      if (!data)
        found.push_back({digest, {}, Error{"remote", "not-found", "no " + digest.hash, {}, {}}});
    }
    if (world_.answers_unasked) found.push_back({store::digest_of("a present"), "a present", {}});
    return found;
  }
  Result<std::vector<PeerBlob>> write_batch(const std::vector<PeerBlob>& blobs) override {
    if (auto up = called("write-batch"); !up) return forward(up);
    std::vector<PeerBlob> wrong;
    std::size_t size = 0;
    const std::lock_guard guard(world_.lock);
    for (const PeerBlob& blob : blobs) {
      size += blob.data.size();
      if (world_.full) {
        wrong.push_back({blob.digest, {}, Error{"remote", "full", "no room", {}, {}}});
        continue;
      }
      CHECK(store::digest_of(blob.data) == blob.digest);
      world_.blobs[blob.digest.hash] = blob.data;
    }
    CHECK(size <= world_.limit);
    return wrong;
  }
  Status read_stream(const Digest& digest,
                     const std::function<Status(std::string_view)>& sink) override {
    if (auto up = called("read-stream"); !up) return up;
    const auto data = content(digest);
    if (!data) return fail("remote", "not-found", "no " + digest.hash);
    for (std::size_t at = 0; at < data->size(); at += 1000) {
      if (auto taken = sink(std::string_view(*data).substr(at, 1000)); !taken) return taken;
    }
    return {};
  }
  Status write_stream(const Digest& digest, int fd) override {
    if (auto up = called("write-stream"); !up) return up;
    if (world_.full) return fail("remote", "full", "no room");
    const std::string data = must(read_all(fd));
    CHECK(store::digest_of(data) == digest);
    const std::lock_guard guard(world_.lock);
    world_.blobs[digest.hash] = data;
    return {};
  }
  Result<std::optional<Digest>> fetch_blob(const std::vector<std::string>& uris) override {
    return find("fetch-blob", world_.names, uris);
  }
  Result<std::optional<Digest>> fetch_directory(const std::vector<std::string>& uris) override {
    return find("fetch-directory", world_.directories, uris);
  }
  Status push_blob(const std::vector<std::string>& uris, const Digest& digest,
                   const std::vector<Digest>&, const std::vector<Digest>&) override {
    if (auto up = called("push-blob"); !up) return up;
    for (const std::string& uri : uris) world_.names[uri] = digest;
    return {};
  }
  Status push_directory(const std::vector<std::string>& uris, const Digest& root) override {
    if (auto up = called("push-directory"); !up) return up;
    for (const std::string& uri : uris) world_.directories[uri] = root;
    return {};
  }

 private:
  Status called(const std::string& call) {
    const std::lock_guard guard(world_.lock);
    world_.calls.push_back(call);
    if (world_.down)
      return fail("remote", "unreachable", call + " failed with status UNAVAILABLE: down");
    if (world_.broken == call)
      return fail("remote", "remote-failed", call + " failed with status INTERNAL: broken");
    return {};
  }
  std::optional<std::string> content(const Digest& digest) {
    const std::lock_guard guard(world_.lock);
    if (const auto lie = world_.lies.find(digest.hash); lie != world_.lies.end())
      return lie->second;
    const auto found = world_.blobs.find(digest.hash);
    if (found == world_.blobs.end()) return std::nullopt;
    return found->second;
  }
  Result<std::optional<Digest>> find(const std::string& call,
                                     const std::map<std::string, Digest>& names,
                                     const std::vector<std::string>& uris) {
    if (auto up = called(call); !up) return forward(up);
    for (const std::string& uri : uris) {
      if (const auto found = names.find(uri); found != names.end())
        return std::optional<Digest>(found->second);
    }
    return std::nullopt;
  }

  RemoteSpec spec_;
  World& world_;
};

struct Net {
  std::map<std::string, World> worlds;
  Connect connect = [this](const RemoteSpec& spec) -> Result<std::unique_ptr<Peer>> {
    return std::make_unique<FakePeer>(spec, worlds[spec.url]);
  };
  Result<RemoteReply> operator()(const RemoteRequest& request) { return serve(request, connect); }
};

std::vector<std::string> warnings(const RemoteReply& reply) {
  std::vector<std::string> texts;
  for (const RemoteNote& note : reply.notes) {
    if (note.level == "warn") texts.push_back(note.text);
  }
  return texts;
}

std::string uri(const std::string& key) {
  return "urn:fdc:buildstream.build:2020:artifact:proj/app/" + key;
}

TEST_CASE("Every call has an end where nobody says otherwise") {
  RemoteSpec remote;
  CHECK(call_timeout(remote) == std::chrono::seconds(60));
  remote.request_timeout = 7;
  CHECK(call_timeout(remote) == std::chrono::seconds(7));
  remote.request_timeout = 0;  // for ever, as BuildStream has it
  CHECK(call_timeout(remote) == std::chrono::seconds(0));
}

TEST_CASE("An artifact goes to a server and from there to another store, byte for byte") {
  Sample sample;
  Net net;
  const auto pushed = must(net(sample.push({spec("one", true)})));
  CHECK(pushed.done);
  CHECK(pushed.bytes > 5'000'000);
  CHECK(pushed.blobs == net.worlds["one"].blobs.size());
  CHECK(net.worlds["one"].names.contains(uri(kStrong)));
  CHECK(net.worlds["one"].names.contains(uri(kWeak)));

  Target target;
  auto request = sample.request("pull-artifact", target.cachedir, {spec("one")});
  const auto pulled = must(net(request));
  CHECK(pulled.done);
  CHECK(pulled.key == kStrong);
  CHECK(pulled.url == "one");
  CHECK(target.has_artifact(kStrong));
  CHECK(target.has_artifact(kWeak));
  {
    store::Cas cas = target.open();
    const std::string ref = "proj/app/" + kStrong;
    CHECK(must(store::Artifacts(cas).message(ref)) ==
          must(store::Artifacts(sample.cas).message(ref)));
    CHECK_FALSE(cas.contains(sample.info.buildtree));
  }
  target.check_sound(2);

  SECTION("the build tree comes when it is asked for, and nothing else comes again") {
    request.buildtree = true;
    const auto again = must(net(request));
    CHECK(again.done);
    CHECK(again.bytes < 1000);
    store::Cas cas = target.open();
    CHECK(store::Artifacts(cas).tree_complete(sample.info.buildtree));
  }
  SECTION("pushing it again moves nothing") {
    const auto again = must(net(sample.push({spec("one", true)})));
    CHECK_FALSE(again.done);
    CHECK(again.bytes == 0);
    CHECK(again.notes.back().text == "Remote (one) already has artifact aaaaaaaa cached");
  }
  SECTION("without its build tree it can't be pushed from there") {
    auto onward = sample.request("push-artifact", target.cachedir, {spec("two", true)});
    CHECK(reason(net(onward)) == "remote/incomplete-artifact");
    CHECK(net.worlds["two"].blobs.empty());
  }
}

TEST_CASE("The strong key is looked for first, then the weak one") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  net.worlds["one"].names.erase(uri(kStrong));
  Target target;
  const auto pulled = must(net(sample.request("pull-artifact", target.cachedir, {spec("one")})));
  CHECK(pulled.done);
  CHECK(pulled.key == kWeak);
  CHECK(target.has_artifact(kStrong));
}

TEST_CASE(
    "A blob that the server lost: not found, nothing under the artifact's name, and another server "
    "may have it") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  must(net(sample.push({spec("two", true)})));
  SECTION("a file") { net.worlds["one"].forget(store::digest_of("#!/bin/sh\n")); }
  SECTION("a directory") { net.worlds["one"].forget(sample.info.files); }
  SECTION("the message itself") {
    net.worlds["one"].forget(net.worlds["one"].names.begin()->second);
  }
  SECTION("its metadata") { net.worlds["one"].forget(sample.info.low_diversity_meta); }
  Target target;
  const auto alone = must(net(sample.request("pull-artifact", target.cachedir, {spec("one")})));
  CHECK_FALSE(alone.done);
  CHECK(warnings(alone).empty());
  target.check_sound(0);
  const auto both =
      must(net(sample.request("pull-artifact", target.cachedir, {spec("one"), spec("two")})));
  CHECK(both.done);
  CHECK(both.url == "two");
  target.check_sound(2);
}

TEST_CASE("A build tree that no server has: the artifact is pulled, and what is missing is said") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  net.worlds["one"].forget(sample.info.buildtree);
  Target target;
  auto request = sample.request("pull-artifact", target.cachedir, {spec("one")});
  request.buildtree = true;
  const auto pulled = must(net(request));
  CHECK(pulled.done);
  CHECK(pulled.skipped == std::vector<std::string>{"The buildtree is not on the remote"});
  target.check_sound(2);
}

TEST_CASE("What a server sends is not believed") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  World& world = net.worlds["one"];
  const Digest noise =
      must(store::read_directory(sample.cas, must(store::Tree::open(sample.cas, sample.info.files)
                                                      ->directory_digest("usr/share"))))
          .files[1]
          .digest;
  REQUIRE(noise.size == 5'000'000);
  std::string wrong = world.blobs[noise.hash];
  std::string expected = "one sent something else than what was asked for";
  SECTION("another content of the same size, in a batch") {
    world.lies[store::digest_of("#!/bin/sh\n").hash] = "#!/bin/sj\n";
  }
  SECTION("another size, in a batch") {
    world.lies[store::digest_of("#!/bin/sh\n").hash] = "#!/bin/sh\n\n";
  }
  SECTION("another content of the same size, by stream") {
    wrong[4'999'999] ^= 1;
    world.lies[noise.hash] = wrong;
  }
  SECTION("a stream that ends early") { world.lies[noise.hash] = wrong.substr(0, 4'000'000); }
  SECTION("a stream that goes on") { world.lies[noise.hash] = wrong + wrong; }
  SECTION("what nobody asked for") { world.answers_unasked = true; }
  SECTION("a message that is none") {
    expected = "not an Artifact message";
    world.names[uri(kStrong)] = store::digest_of("#!/bin/sh\n");
  }
  SECTION("a message of the wrong artifact") {
    expected = "is the artifact of other keys";
    store::ArtifactInfo other = sample.info;
    other.strong_key = other.strict_key = std::string(64, 'e');
    other.weak_key = std::string(64, 'f');
    must(store::Artifacts(sample.cas).commit("proj", "other.bst", other));
    const std::string bytes =
        *must(store::Artifacts(sample.cas).message("proj/other/" + other.strong_key));
    world.blobs[store::digest_of(bytes).hash] = bytes;
    world.names[uri(kStrong)] = store::digest_of(bytes);
  }
  SECTION("a directory that leads out of its tree") {
    // files { name: "../xxx" digest { hash: "000..." } }, as long as the message of the root that
    // was there: then it can be put in its place in the artifact's message, which our own store
    // would not commit.
    expected = "'../xxx";
    REQUIRE(sample.info.files.size > 76);
    REQUIRE(sample.info.files.size < 120);
    const std::string name =
        "../" + std::string(static_cast<std::size_t>(sample.info.files.size) - 75, 'x');
    const std::string file = std::string("\x0a") + static_cast<char>(name.size()) + name +
                             "\x12\x42\x0a\x40" + std::string(64, '0');
    const std::string directory = std::string("\x0a") + static_cast<char>(file.size()) + file;
    const Digest evil = store::digest_of(directory);
    REQUIRE(evil.size == sample.info.files.size);
    std::string bytes = *must(store::Artifacts(sample.cas).message("proj/app/" + kStrong));
    bytes.replace(bytes.find(sample.info.files.hash), 64, evil.hash);
    REQUIRE(must(store::decode_artifact(bytes)).files == evil);
    world.blobs[evil.hash] = directory;
    world.blobs[store::digest_of(bytes).hash] = bytes;
    world.names[uri(kStrong)] = store::digest_of(bytes);
  }
  Target target;
  const auto pulled = net(sample.request("pull-artifact", target.cachedir, {spec("one")}));
  CHECK(reason(pulled) == "remote/misbehaved");
  REQUIRE_FALSE(pulled);
  CHECK_THAT(pulled.error().message, Catch::Matchers::Contains(expected));
  target.check_sound(0);
}

TEST_CASE("A server doesn't learn of blobs that aren't the artifact's") {
  Sample sample;
  must(sample.cas.add("a secret"));
  Net net;
  net.worlds["one"].answers_unasked = true;
  CHECK(reason(net(sample.push({spec("one", true)}))) == "remote/misbehaved");
  CHECK(net.worlds["one"].blobs.empty());
}

TEST_CASE(
    "A remote that can't be reached is left out with a warning; one that fails later is an error") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  net.worlds["away"].down = true;
  Target target;
  const auto request =
      sample.request("pull-artifact", target.cachedir, {spec("away"), spec("one")});
  SECTION("another has it") {
    const auto pulled = must(net(request));
    CHECK(pulled.done);
    CHECK(warnings(pulled) ==
          std::vector<std::string>{
              "Failed to initialize remote away: fetch-blob failed with status UNAVAILABLE: down"});
    CHECK(pulled.reached == std::vector<std::string>{"one"});
    CHECK(net.worlds["away"].calls.size() == 1);  // not once more for the data
  }
  SECTION("there is no other") {
    const auto pulled = must(net(sample.request("pull-artifact", target.cachedir, {spec("away")})));
    CHECK_FALSE(pulled.done);
    CHECK(warnings(pulled).size() == 1);
    const auto pushed = must(net(sample.push({spec("away", true)})));
    CHECK_FALSE(pushed.done);
    CHECK(pushed.reached.empty());
  }
  SECTION("it fails between the name and the data") {
    net.worlds["one"].broken = "read-batch";
    CHECK(reason(net(request)) == "remote/remote-failed");
    target.check_sound(0);
  }
  SECTION("the data fails where the name is elsewhere, after the server has said what it takes") {
    net.worlds["two"].broken = "missing";
    CHECK(reason(net(sample.push({spec("two", true)}))) == "remote/remote-failed");
  }
  SECTION("the index fails") {
    net.worlds["one"].broken = "fetch-blob";
    const auto pulled = net(request);
    CHECK(reason(pulled) == "remote/remote-failed");
    CHECK(pulled.error().detail ==
          "Failed to initialize remote away: fetch-blob failed with status UNAVAILABLE: down\n"
          "Could not pull from remote one: fetch-blob failed with status INTERNAL: broken");
  }
  SECTION("the index of one fails, another has it") {
    net.worlds["two"].broken = "fetch-blob";
    auto both = request;
    both.remotes = {spec("two"), spec("one")};
    const auto pulled = must(net(both));
    CHECK(pulled.done);
    CHECK(warnings(pulled).size() == 1);
  }
}

TEST_CASE("Names and blobs may be on different servers") {
  Sample sample;
  Net net;
  auto index = spec("index", true);
  index.type = "index";
  auto storage = spec("storage", true);
  storage.type = "storage";
  CHECK(must(net(sample.push({index, storage}))).done);
  CHECK(net.worlds["index"].blobs.empty());
  CHECK(net.worlds["storage"].names.empty());
  Target target;
  const auto pulled = must(net(sample.request("pull-artifact", target.cachedir, {index, storage})));
  CHECK(pulled.done);
  CHECK(pulled.url == "storage");
}

TEST_CASE("Only remotes that are for pushing are pushed to") {
  Sample sample;
  Net net;
  CHECK_FALSE(must(net(sample.push({spec("one")}))).done);
  CHECK(net.worlds["one"].calls.empty());
}

TEST_CASE("A full server is an error, and gets no name; the others get theirs") {
  Sample sample;
  Net net;
  net.worlds["one"].full = true;
  SECTION("alone") { CHECK(reason(net(sample.push({spec("one", true)}))) == "remote/full"); }
  SECTION("before another") {
    CHECK(reason(net(sample.push({spec("one", true), spec("two", true)}))) == "remote/full");
    CHECK_FALSE(net.worlds["two"].names.empty());
  }
  SECTION("of blobs alone: no index is told of what isn't there") {
    auto storage = spec("one", true);
    storage.type = "storage";
    auto index = spec("two", true);
    index.type = "index";
    CHECK(reason(net(sample.push({storage, index}))) == "remote/full");
    CHECK(net.worlds["two"].names.empty());
  }
  CHECK(net.worlds["one"].names.empty());
}

TEST_CASE("An artifact made from a workspace isn't pushed") {
  Sample sample;
  sample.info.was_workspaced = true;
  must(store::Artifacts(sample.cas).commit("proj", "app.bst", sample.info));
  Net net;
  const auto pushed = must(net(sample.push({spec("one", true)})));
  CHECK_FALSE(pushed.done);
  CHECK(warnings(pushed) == std::vector<std::string>{"Not pushing tainted artifact."});
  CHECK(net.worlds["one"].calls.empty());
}

TEST_CASE("Sources, all together and one by one") {
  Sample sample;
  Net net;
  const auto pushed =
      must(net(sample.request("push-sources", sample.cas.cachedir(), {spec("one", true)})));
  CHECK(pushed.done);
  CHECK(pushed.sources.size() == 1);
  World& world = net.worlds["one"];
  CHECK(world.names.contains("urn:fdc:buildstream.build:2020:source:" + kSources));
  CHECK(world.directories.at("urn:fdc:buildstream.build:2020:source:tar/" + kSource) ==
        sample.info.sources);
  Target target;
  const auto request = sample.request("pull-sources", target.cachedir, {spec("one")});
  SECTION("together") {
    CHECK(must(net(request)).done);
    store::Cas cas = target.open();
    CHECK(must(store::SourceRefs(cas).lookup_element(kSources)) == sample.info.sources);
  }
  SECTION("one by one") {
    world.names.clear();
    const auto pulled = must(net(request));
    CHECK_FALSE(pulled.done);
    CHECK(pulled.sources.size() == 1);
    store::Cas cas = target.open();
    CHECK(must(store::SourceRefs(cas).lookup_source("tar", kSource)) == sample.info.sources);
    CHECK_FALSE(must(store::SourceRefs(cas).lookup_element(kSources)));
  }
  SECTION("a blob is missing") {
    world.forget(store::digest_of("int main;"));
    const auto pulled = must(net(request));
    CHECK_FALSE(pulled.done);
    CHECK(pulled.sources.empty());
    target.check_sound(0);
  }
  SECTION("pushing them again") {
    CHECK_FALSE(
        must(net(sample.request("push-sources", sample.cas.cachedir(), {spec("one", true)}))).done);
  }
}

TEST_CASE("Which artifacts there are, on any of the remotes") {
  Sample sample;
  Net net;
  must(net(sample.push({spec("one", true)})));
  net.worlds["two"].names["urn:fdc:buildstream.build:2020:artifact:proj/lib/" + kStrong] =
      store::digest_of("x");
  net.worlds["away"].down = true;
  Target target;
  auto request =
      sample.request("find-artifacts", target.cachedir, {spec("away"), spec("one"), spec("two")});
  request.names = {"proj/none/" + kStrong, "proj/lib/" + kStrong, "proj/app/" + kWeak};
  const auto reply = must(net(request));
  CHECK(reply.names == std::vector<std::string>{"proj/lib/" + kStrong, "proj/app/" + kWeak});
  CHECK(reply.reached == std::vector<std::string>{"one", "two"});
  CHECK(net.worlds["away"].calls.size() == 1);
  net.worlds["two"].broken = "fetch-blob";
  CHECK(reason(net(request)) == "remote/remote-failed");
}

TEST_CASE("What can't be asked") {
  Sample sample;
  Net net;
  Target target;
  auto request = sample.request("pull-artifact", target.cachedir, {spec("one")});
  request.verb = "dance";
  CHECK(reason(net(request)) == "remote/bad-request");
  request.verb = "pull-artifact";
  request.keys.clear();
  CHECK(reason(net(request)) == "remote/bad-request");
  CHECK(reason(net(sample.request("push-artifact", target.cachedir, {spec("one", true)}))) ==
        "remote/not-cached");
  auto odd = spec("one");
  odd.type = "endpoint";
  CHECK(reason(net(sample.request("pull-artifact", target.cachedir, {odd}))) ==
        "remote/bad-remote");
  // Keys that would lead elsewhere.
  request.keys = {"../../../../etc"};
  net.worlds["one"].names[uri("../../../../etc")] = store::digest_of("x");
  net.worlds["one"].blobs[store::digest_of("x").hash] = "x";
  CHECK_FALSE(net(request));
}

}  // namespace
}  // namespace sluice::remote
