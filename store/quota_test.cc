#include "store/quota.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "store/artifact.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/key_inputs.h"
#include "store/realise.h"
#include "store/sources.h"
#include "store/space.h"
#include "store/test_store.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;
using test::reason;
using test::status;

void set_time(const std::string& path, std::int64_t seconds, bool also_mtime) {
  const timespec times[2] = {{seconds, 0}, {seconds, also_mtime ? 0 : UTIME_OMIT}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

std::string content_of(char what) { return std::string(10'000, what); }

// Makes an artifact of one file of 10,000 bytes, last used at `seconds`.
ArtifactInfo add_artifact(const Place& place, Cas& cas, char what, std::int64_t seconds) {
  const std::string name(1, what);
  place.file("src-" + name + "/" + name, content_of(what));
  ArtifactInfo info;
  info.build_success = true;
  info.strong_key = info.strict_key = info.weak_key = digest_of(name).hash;
  info.files = must(import_tree(cas, place / ("src-" + name)));
  ArtifactMeta meta;
  meta.variables = {{"name", name}};
  must(write_meta(cas, meta, info));
  must(Artifacts(cas).commit("p", name + ".bst", info));
  set_time(place / ("cache/artifacts/refs/p/" + name + "/" + info.strong_key), seconds, true);
  for (const Digest& digest : {info.files, info.public_data, info.low_diversity_meta,
                               info.high_diversity_meta, digest_of(content_of(what))}) {
    set_time(cas.object_path(digest), 1000, false);
  }
  return info;
}

TEST_CASE("What is used is counted: objects and twins") {
  Place place;
  Cas cas = place.open();
  CHECK(must(used(cas.cachedir())).total() == 0);
  const ArtifactInfo info = add_artifact(place, cas, 'a', 2000);
  const Usage before = must(used(cas.cachedir()));
  CHECK(before.objects == 5);
  CHECK(before.object_bytes > 10'000);
  CHECK(before.twin_bytes == 0);
  Realiser realiser = must(Realiser::open(cas));
  must(realiser.realise(info.files));
  CHECK(must(used(cas.cachedir())).twin_bytes == 10'000);
}

TEST_CASE("Who counts what is used makes nothing, so that his death leaves nothing") {
  Place place;
  CHECK(must(used(place / "nowhere")).total() == 0);
  CHECK_FALSE(path_exists(place / "nowhere"));
}

TEST_CASE("Expiry takes what was used longest ago, whole artifacts by the time of their refs") {
  Place place;
  Cas cas = place.open();
  const ArtifactInfo a = add_artifact(place, cas, 'a', 4000);
  const ArtifactInfo b = add_artifact(place, cas, 'b', 2000);
  const ArtifactInfo c = add_artifact(place, cas, 'c', 3000);
  const auto cached = [&](char what, const ArtifactInfo& info) {
    return must(Artifacts(cas).lookup("p", std::string(1, what) + ".bst", info.strong_key))
        .has_value();
  };
  const std::uint64_t total = must(used(cas.cachedir())).total();
  CHECK(must(expire_to(cas, total)).objects == 0);
  const Expired expired = must(expire_to(cas, total - 1000));
  CHECK(expired.objects >= 1);
  CHECK(expired.refs == 1);
  CHECK(expired.left <= total - 1000);
  CHECK(must(used(cas.cachedir())).total() == expired.left);
  CHECK_FALSE(path_exists(place / ("cache/artifacts/refs/p/b/" + b.strong_key)));
  CHECK(must(verify_all(cas)).good());
  CHECK(cached('a', a));
  CHECK(cached('c', c));
  must(expire_to(cas, 0));
  CHECK(must(used(cas.cachedir())).total() == 0);
  CHECK(must(Artifacts(cas).list()).empty());
}

TEST_CASE("Blobs without a ref go by their own access time") {
  Place place;
  Cas cas = place.open();
  const Digest old = must(cas.add(content_of('x')));
  const Digest recent = must(cas.add(content_of('y')));
  set_time(cas.object_path(old), 1000, false);
  set_time(cas.object_path(recent), 2000, false);
  must(expire_to(cas, 15'000));
  CHECK_FALSE(cas.contains(old));
  CHECK(cas.contains(recent));
}

TEST_CASE("What is pinned, in use, or of the running session stays") {
  Place place;
  Cas cas = place.open();
  const ArtifactInfo a = add_artifact(place, cas, 'a', 1500);
  const ArtifactInfo b = add_artifact(place, cas, 'b', 2000);
  const auto cached = [&](char what, const ArtifactInfo& info) {
    return must(Artifacts(cas).lookup("p", std::string(1, what) + ".bst", info.strong_key))
        .has_value();
  };
  SECTION("by digest: the tree, not its artifact's metadata") {
    must(expire_to(cas, 0, {.pinned = {a.files}}));
    CHECK(cas.contains(a.files));
    CHECK(cas.contains(digest_of(content_of('a'))));
    CHECK_FALSE(cas.contains(b.files));
    CHECK(must(Artifacts(cas).list()).empty());
  }
  SECTION("by ref") {
    const Expired expired =
        must(expire_to(cas, 0, {.pinned_refs = {"artifacts/refs/p/a/" + a.strong_key}}));
    CHECK(cached('a', a));
    CHECK_FALSE(cached('b', b));
    CHECK(expired.left > 10'000);
    CHECK(must(verify_all(cas)).good());
  }
  SECTION("since the session began") {
    const std::int64_t began = fs::stamp_now_ns();
    const Digest fresh = must(cas.add("just built, no ref yet"));
    must(expire_to(cas, 0, {.keep_since_ns = began}));
    CHECK(cas.contains(fresh));
    CHECK_FALSE(cached('a', a));
  }
  SECTION("a root that somebody uses; others go first, with their twins") {
    Realiser realiser = must(Realiser::open(cas));
    const RealisedRoot held = must(realiser.realise(a.files));
    must(realiser.realise(b.files));
    const std::uint64_t total = must(used(cas.cachedir())).total();
    const Expired expired = must(expire_to(cas, total - 5'000));
    CHECK(expired.roots == 1);
    CHECK(expired.objects == 0);
    CHECK(realiser.is_realised(a.files));
    CHECK_FALSE(realiser.is_realised(b.files));
    CHECK(must(used(cas.cachedir())).twin_bytes == 10'000);
    CHECK(cached('b', b));
    CHECK(must(hash_tree(held.layers[0])) == a.files);
  }
}

TEST_CASE("Sources lose their refs with their blobs") {
  Place place;
  Cas cas = place.open();
  place.file("s/f", content_of('s'));
  const Digest root = must(import_tree(cas, place / "s"));
  const std::string key(64, 'e');
  must(SourceRefs(cas).store_element(key, root));
  must(SourceRefs(cas).store_source("tar", key, root));
  must(expire_to(cas, 100));
  CHECK_FALSE(path_exists(place / ("cache/elementsources/" + key)));
  CHECK_FALSE(path_exists(place / ("cache/source_protos/tar/" + key)));
  CHECK(must(verify_all(cas)).good());
}

TEST_CASE("Key inputs go with their artifacts") {
  Place place;
  Cas cas = place.open();
  const ArtifactInfo a = add_artifact(place, cas, 'a', 4000);
  const ArtifactInfo b = add_artifact(place, cas, 'b', 2000);
  const std::string stranger(64, 'e');
  const std::string fresh(64, 'f');
  for (const std::string& key : {a.strong_key, b.strong_key, stranger, fresh})
    must(keep_key_inputs(cas, key, "{\"of\":\"" + key + "\"}"));
  CHECK(must(read_key_inputs(cas, a.strong_key)) == "{\"of\":\"" + a.strong_key + "\"}");
  CHECK_FALSE(must(read_key_inputs(cas, std::string(64, '0'))));
  CHECK_FALSE(must(read_key_inputs(cas, "../../../cas")));
  CHECK(keep_key_inputs(cas, "../" + std::string(61, 'a'), "{}").error().reason == "bad-artifact");
  // The stranger's key inputs are nobody's; fresh ones might become somebody's, so these are made
  // old.
  set_time(place / ("cache/sluice/key-inputs/ee/" + stranger.substr(2)), 1000, true);

  must(expire_to(cas, must(used(cas.cachedir())).total() - 1000));
  CHECK(must(read_key_inputs(cas, a.strong_key)));
  CHECK_FALSE(must(read_key_inputs(cas, b.strong_key)));
  CHECK_FALSE(must(read_key_inputs(cas, stranger)));
  CHECK(must(read_key_inputs(cas, fresh)));
  must(Artifacts(cas).remove("p/a/" + a.strong_key));
  CHECK_FALSE(must(read_key_inputs(cas, a.strong_key)));
}

Space space_of(const Cas& cas) { return must(Space::open(cas.cachedir())); }

bool cached(Cas& cas, char what) {
  return must(Artifacts(cas).lookup("p", std::string(1, what) + ".bst",
                                    digest_of(std::string(1, what)).hash))
      .has_value();
}

TEST_CASE("What is in use is known without looking at everything") {
  Place place;
  Cas cas = place.open();
  CHECK_FALSE(space_of(cas).used());
  must(expire_to(cas, 1'000'000'000));  // counts all, and removes nothing
  const auto known = [&] { return space_of(cas).used() == must(used(cas.cachedir())).total(); };
  CHECK(known());
  const ArtifactInfo a = add_artifact(place, cas, 'a', 2000);
  add_artifact(place, cas, 'b', 2000);
  CHECK(known());
  must(cas.add("some words"));
  must(cas.add("some words"));
  CHECK(known());
  must(must(Realiser::open(cas)).realise(a.files));
  CHECK(known());
  must(cas.remove(digest_of("some words")));
  must(cas.remove(digest_of("some words")));
  CHECK(known());
  // Another process has the same count.
  CHECK(space_of(place.open()).used() == space_of(cas).used());
  must(expire_to(cas, 12'000));
  CHECK(known());
  CHECK_FALSE(space_of(cas).outdated());
  CHECK(space_of(cas).expiries() > 0);
}

TEST_CASE("Who adds more than the quota makes room: down to the low watermark, the oldest first") {
  Place place;
  Cas cas = place.open();
  add_artifact(place, cas, 'a', 4000);
  add_artifact(place, cas, 'b', 2000);
  add_artifact(place, cas, 'c', 3000);
  space_of(cas).set_limits({.quota = 40'000, .low_watermark = 4000});
  const Digest fresh = must(cas.add(content_of('x')));
  CHECK(cas.contains(fresh));
  CHECK(cached(cas, 'a'));
  CHECK_FALSE(cached(cas, 'b'));
  CHECK_FALSE(cached(cas, 'c'));
  CHECK(must(used(cas.cachedir())).total() <= 16'000 + 10'000);
  CHECK(space_of(cas).used() == must(used(cas.cachedir())).total());
  CHECK(must(verify_all(cas)).good());
}

TEST_CASE("What can't fit is refused, and nothing goes for it") {
  Place place;
  Cas cas = place.open();
  add_artifact(place, cas, 'a', 2000);
  const std::uint64_t before = must(used(cas.cachedir())).total();
  SECTION("more than the quota") {
    space_of(cas).set_limits({.quota = 15'000});
    const auto refused = cas.add(std::string(15'001, 'x'));
    CHECK(reason(refused) == "cas/cache-too-full");
    CHECK(refused.error().message == "Cache too full");
    CHECK(refused.error().detail == "15001 bytes can't fit into the 15000 that cache.quota allows");
  }
  SECTION("more than the disk has beside what is reserved") {
    space_of(cas).set_limits({.reserved = std::uint64_t{1} << 60});
    const auto refused = cas.add(content_of('x'));
    CHECK(reason(refused) == "cas/cache-too-full");
    CHECK_THAT(refused.error().detail,
               Catch::Matchers::EndsWith("that cache.reserved-disk-space leaves"));
  }
  SECTION("a twin file") {
    space_of(cas).set_limits({.quota = 9'000});
    CHECK(reason(must(Realiser::open(cas))
                     .realise(must(Artifacts(cas).peek("p/a/" + digest_of("a").hash))->files)) ==
          "cas/cache-too-full");
  }
  CHECK(cached(cas, 'a'));
  CHECK(must(used(cas.cachedir())).total() == before);
  CHECK(space_of(cas).used() == before);
}

TEST_CASE("What living processes have used since they began stays, whoever makes room") {
  Place place;
  std::optional<Cas> session(place.open());
  add_artifact(place, *session, 'a', 2000);
  add_artifact(place, *session, 'b', 3000);
  CHECK(cached(*session, 'a'));  // the session looks for the artifact, and will need it
  const Digest unnamed = must(session->add(content_of('n')));
  set_time(session->object_path(unnamed), 1000, false);
  must(session->add(content_of('n')));  // the blob was there already
  Cas other = place.open();
  space_of(other).set_limits({.quota = 35'000, .low_watermark = 0});
  must(other.add(content_of('x')));
  CHECK(cached(other, 'a'));
  CHECK_FALSE(cached(other, 'b'));
  CHECK(other.contains(unnamed));
  SECTION("so that there may be no room") {
    const auto refused = other.add(content_of('y'));
    CHECK(reason(refused) == "cas/cache-too-full");
    CHECK_THAT(refused.error().detail, Catch::Matchers::StartsWith("10000 bytes would not fit: "));
  }
  SECTION("until they end") {
    session.reset();
    set_time(other.object_path(unnamed), 1000, false);
    must(other.add(std::string(12'000, 'y')));
    CHECK_FALSE(other.contains(unnamed));
    CHECK(cached(other, 'a'));  // the other has used the artifact, too
  }
}

TEST_CASE("No artifact goes for what would have no room without it either") {
  Place place;
  Cas cas = place.open();
  add_artifact(place, cas, 'a', 2000);
  add_artifact(place, cas, 'b', 3000);
  Cas other = place.open();
  CHECK(cached(cas, 'a'));  // the artifact stays for it
  space_of(other).set_limits({.quota = 45'000, .low_watermark = 0});
  CHECK(reason(other.add(std::string(40'000, 'y'))) == "cas/cache-too-full");
  CHECK(must(Artifacts(other).peek("p/b/" + digest_of("b").hash)));  // looking it up would be a use
  must(other.add(std::string(30'000, 'y')));
  CHECK_FALSE(cached(other, 'b'));
  CHECK(cached(other, 'a'));
}

TEST_CASE("What was deleted frees what nothing else is made of") {
  Place place;
  Cas cas = place.open();
  const ArtifactInfo a = add_artifact(place, cas, 'a', 2000);
  const ArtifactInfo b = add_artifact(place, cas, 'b', 2000);
  place.file("src-both/a", content_of('a'));
  place.file("src-both/c", content_of('c'));
  const Digest both = must(import_tree(cas, place / "src-both"));
  must(SourceRefs(cas).store_element(std::string(64, 'e'), both));
  must(must(Realiser::open(cas)).realise(b.files));
  must(Artifacts(cas).remove("p/a/" + a.strong_key));
  must(Artifacts(cas).remove("p/b/" + b.strong_key));
  const Expired freed = must(free_unused(cas, {a.files, b.files}, {a.public_data, b.public_data},
                                         fs::wall_now_ns() + 1'000'000'000));
  CHECK(freed.bytes > 20'000);  // those of b's file and its twin
  CHECK(freed.roots == 1);
  CHECK_FALSE(cas.contains(digest_of(content_of('b'))));
  CHECK_FALSE(cas.contains(a.files));
  // The blob belongs to sources that are here still.
  CHECK(cas.contains(digest_of(content_of('a'))));
  CHECK(must(used(cas.cachedir())).twin_bytes == 0);
  CHECK(must(verify_all(cas)).good());
  CHECK(space_of(cas).used().value_or(0) <= must(used(cas.cachedir())).total());
}

}  // namespace
}  // namespace sluice::store
