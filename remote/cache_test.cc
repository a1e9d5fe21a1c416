#include "remote/cache.h"

#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

#include "remote/test_remote.h"

namespace sluice::remote {
namespace {

using namespace test;

const std::string kUrn = "urn:fdc:buildstream.build:2020:";

// All that the sample consists of, in the cache, without names.
void copy_blobs(const Sample& sample, Cache& cache) {
  const std::string objects = sample.cas.cachedir() + "/cas/objects";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(objects)) {
    if (entry.is_regular_file()) must(cache.cas().add_file(entry.path().string()));
  }
}

Digest message_of(Sample& sample) {
  return must(sample.cas.add(*must(store::Artifacts(sample.cas).message("proj/app/" + kStrong))));
}

TEST_CASE("A name is taken when all is there that it needs, and found as long as it is") {
  Sample sample;
  const Digest message = message_of(sample);
  Place place;
  auto cache = must(Cache::open(place / "served", 0));
  const std::string name = kUrn + "artifact:proj/app/" + kStrong;
  CHECK(reason(cache->put_blob(name, message)) == "cas/missing-blob");
  must(cache->cas().add(must(sample.cas.read(message))));
  CHECK(reason(cache->put_blob(name, message)) == "cas/missing-blob");
  CHECK_FALSE(must(cache->find_blob(name)));
  copy_blobs(sample, *cache);
  must(cache->put_blob(name, message));
  CHECK(must(cache->find_blob(name)) == message);
  // Under the names that were given, and no others.
  CHECK_FALSE(must(cache->find_blob(kUrn + "artifact:proj/app/" + kWeak)));

  const Digest sources =
      must(sample.cas.add(*must(store::SourceRefs(sample.cas).element_message(kSources))));
  must(cache->cas().add(must(sample.cas.read(sources))));
  must(cache->put_blob(kUrn + "source:" + kSources, sources));
  CHECK(must(cache->find_blob(kUrn + "source:" + kSources)) == sources);
  must(cache->put_directory(kUrn + "source:tar/" + kSource, sample.info.sources));
  CHECK(must(cache->find_directory(kUrn + "source:tar/" + kSource)) == sample.info.sources);

  // After a restart, too; but not when a blob has gone meanwhile.
  cache.reset();
  cache = must(Cache::open(place / "served", 0));
  CHECK(must(cache->find_blob(name)) == message);
  cache.reset();
  {
    store::Cas cas = must(store::Cas::open(place / "served"));
    must(cas.remove(store::digest_of("#!/bin/sh\n")));
  }
  cache = must(Cache::open(place / "served", 0));
  CHECK_FALSE(must(cache->find_blob(name)));
}

TEST_CASE("A damaged object isn't served, and can be sent again") {
  Place place;
  auto cache = must(Cache::open(place / "served", 0));
  const Digest digest = must(cache->cas().add("some words"));
  const std::string path = cache->cas().object_path(digest);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    must(write_all(fd.get(), "SOME WORDS"));
  }
  CHECK(reason(cache->cas().read(digest)) == "cas/missing-blob");
  CHECK_FALSE(cache->cas().contains(digest));
}

TEST_CASE("Names that aren't BuildStream's, or lead elsewhere") {
  Sample sample;
  const Digest message = message_of(sample);
  Place place;
  auto cache = must(Cache::open(place / "served", 0));
  copy_blobs(sample, *cache);
  for (const std::string& name :
       {std::string(), std::string("http://example.com/file"), kUrn,
        kUrn + "artifact:", kUrn + "artifact:proj/app", kUrn + "artifact:../../" + kStrong,
        kUrn + "artifact:proj/../" + kStrong, kUrn + "artifact:proj/app/../../x",
        kUrn + "artifact:proj/app/sub/" + kStrong, kUrn + "artifact:/etc/" + kStrong,
        kUrn + "source:../" + kSources, kUrn + "source:" + kSources + "/..", kUrn + "source:UPPER",
        kUrn + "artifact:" + std::string("p\0/app/", 7) + kStrong}) {
    INFO(name);
    CHECK(reason(cache->find_blob(name)) == "server/bad-name");
    CHECK_FALSE(cache->put_blob(name, message));
  }
  for (const std::string& name :
       {kUrn + "source:" + kSources, kUrn + "source:../" + kSource, kUrn + "source:/" + kSource,
        kUrn + "source:tar/../../x", kUrn + "source:tar/x/" + kSource,
        kUrn + "artifact:proj/app/" + kStrong}) {
    INFO(name);
    CHECK(reason(cache->find_directory(name)) == "server/bad-name");
    CHECK_FALSE(cache->put_directory(name, sample.info.sources));
  }
  // A message under a key that isn't its own; what is no message.
  CHECK(reason(cache->put_blob(kUrn + "artifact:proj/app/" + kSources, message)) ==
        "artifact/bad-artifact");
  CHECK_FALSE(cache->put_blob(kUrn + "artifact:proj/app/" + kStrong, store::digest_of("file 1")));
  CHECK_FALSE(cache->put_blob(kUrn + "source:" + kSources, store::digest_of("file 1")));
  CHECK(must(store::Artifacts(cache->cas()).list()).empty());
  CHECK_FALSE(std::filesystem::exists(place / "served/elementsources"));
  CHECK_FALSE(std::filesystem::exists(place / "served/source_protos"));
}

TEST_CASE("The quota: what was used least recently goes, with the names that need it") {
  Sample sample(400'000);
  const Digest message = message_of(sample);
  Place place;
  auto cache = must(Cache::open(place / "served", 1'000'000));
  copy_blobs(sample, *cache);
  const std::string name = kUrn + "artifact:proj/app/" + kStrong;
  must(cache->put_blob(name, message));
  cache = must(Cache::open(place / "served", 1'000'000));  // counts what is there
  CHECK(must(cache->find_blob(name)) == message);
  CHECK(reason(cache->fits(1'000'001)) == "server/full");
  must(cache->fits(1'000'000));

  // Older than what comes.
  const std::string ref = place / ("served/artifacts/refs/proj/app/" + kStrong);
  const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, ref.c_str(), old, 0) == 0);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(place / "served/cas/objects")) {
    if (entry.is_regular_file()) REQUIRE(::utimensat(AT_FDCWD, entry.path().c_str(), old, 0) == 0);
  }
  const auto send = [&](std::size_t size, char content) {
    const Digest digest = must(cache->cas().add(std::string(size, content)));
    const auto kept = cache->kept(digest);
    CHECK(cache->cas().contains(digest) == kept.has_value());
    return kept ? digest : Digest();
  };
  const Digest kept = send(300'000, 'k');
  CHECK(std::filesystem::exists(ref));  // looking for the name would be a use of it
  send(390'000, 'l');
  CHECK_FALSE(must(cache->find_blob(name)));
  CHECK_FALSE(std::filesystem::exists(ref));
  CHECK(cache->cas().contains(kept));
  // What comes is never what goes for it.
  CHECK(cache->cas().contains(send(900'000, 'm')));
  // What has not come as a whole may be as much as the quota, in all.
  must(cache->receiving(600'000));
  CHECK(reason(cache->receiving(400'001)) == "server/full");
  cache->received(600'000);
  must(cache->receiving(400'001));
}

TEST_CASE("What comes leaves the disk as much as the store's limits say (access.md A32)") {
  Place place;
  auto cache = must(Cache::open(place / "served", 0));
  constexpr std::int64_t kHuge = std::int64_t{1} << 50;
  // Nobody has said any.
  must(cache->fits(kHuge));
  must(cache->receiving(std::uint64_t{8} << 20));
  cache->received(std::uint64_t{8} << 20);

  must(store::limit_store(place / "served", {.reserved = 1}));
  CHECK(reason(cache->fits(kHuge)) == "server/full");
  must(cache->fits(1 << 20));
  must(cache->receiving(std::uint64_t{8} << 20));
  cache->received(std::uint64_t{8} << 20);
  // More is to stay free than there is on any disk: nothing comes, neither in parts nor whole.
  must(store::limit_store(place / "served", {.reserved = std::uint64_t{1} << 60}));
  CHECK(reason(cache->fits(1)) == "server/full");
  CHECK(reason(cache->receiving(std::uint64_t{8} << 20)) == "server/full");
  CHECK(reason(cache->receiving(1)) == "server/full");  // nor by small parts
  CHECK(reason(cache->cas().add("a few words")) == "cas/cache-too-full");

  must(store::limit_store(place / "served", {.quota = std::uint64_t{32} << 20}));
  CHECK(reason(cache->fits(std::int64_t{33} << 20)) == "server/full");
  must(cache->receiving(std::uint64_t{30} << 20));
  must(cache->receiving(std::uint64_t{3} << 20));
  CHECK(reason(cache->receiving(std::uint64_t{2} << 20)) == "server/full");
  cache->received(std::uint64_t{33} << 20);
  must(cache->receiving(std::uint64_t{5} << 20));
}

}  // namespace
}  // namespace sluice::remote
