#include "base/identity.h"

#include <cstdlib>

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/file.h"

using sluice::certificate_fingerprint;
using sluice::make_identity;

namespace {

struct Directory {
  Directory() {
    char name[] = "/tmp/sluice-identity-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Directory() { (void)sluice::remove_tree(path); }
  std::string path;
};

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

}  // namespace

TEST_CASE("an identity is made once, and its files are its owner's alone") {
  const Directory directory;
  const auto made = make_identity(directory.path, "cas", "sluice-session");
  REQUIRE(made);
  CHECK(made->fingerprint.size() == 64);
  CHECK(mode_of(made->key) == 0600);
  CHECK(mode_of(made->certificate) == 0600);
  CHECK(certificate_fingerprint(*sluice::read_file(made->certificate)) == made->fingerprint);

  const auto again = make_identity(directory.path, "cas", "sluice-session");
  REQUIRE(again);
  CHECK(again->fingerprint == made->fingerprint);
  const auto other = make_identity(directory.path, "runner", "host-1");
  REQUIRE(other);
  CHECK(other->fingerprint != made->fingerprint);
}

TEST_CASE("files that are no identity are refused by name") {
  const Directory directory;
  const auto one = make_identity(directory.path, "one", "a");
  const auto two = make_identity(directory.path, "two", "b");
  REQUIRE(one);
  REQUIRE(two);
  REQUIRE(sluice::write_file_atomic(one->certificate, *sluice::read_file(two->certificate)));
  const auto swapped = make_identity(directory.path, "one", "a");
  REQUIRE_FALSE(swapped);
  CHECK(swapped.error().reason == "bad-identity");
  REQUIRE(sluice::write_file_atomic(two->key, "nothing"));
  CHECK(make_identity(directory.path, "two", "b").error().message ==
        two->key + " holds no private key");
  CHECK(make_identity(directory.path, "three", "a,DNS:b").error().reason == "bad-identity");
  CHECK(make_identity(directory.path, "three", "").error().reason == "bad-identity");
  CHECK(certificate_fingerprint("-----BEGIN CERTIFICATE-----").error().reason == "bad-identity");
}
