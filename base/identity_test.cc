#include "base/identity.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/test_directory.h"

using sluice::certificate_fingerprint;
using sluice::make_identity;
using sluice::TestDirectory;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

}  // namespace

TEST_CASE("an identity is made once, and its files are its owner's alone") {
  const TestDirectory directory;
  const auto made = make_identity(directory.str(), "cas", "sluice-session");
  REQUIRE(made);
  CHECK(made->fingerprint.size() == 64);
  CHECK(mode_of(made->key) == 0600);
  CHECK(mode_of(made->certificate) == 0600);
  CHECK(certificate_fingerprint(*sluice::read_file(made->certificate)) == made->fingerprint);

  const auto again = make_identity(directory.str(), "cas", "sluice-session");
  REQUIRE(again);
  CHECK(again->fingerprint == made->fingerprint);
  const auto other = make_identity(directory.str(), "runner", "host-1");
  REQUIRE(other);
  CHECK(other->fingerprint != made->fingerprint);
}

TEST_CASE("files that are no identity are refused by name") {
  const TestDirectory directory;
  const auto one = make_identity(directory.str(), "one", "a");
  const auto two = make_identity(directory.str(), "two", "b");
  REQUIRE(one);
  REQUIRE(two);
  REQUIRE(sluice::write_file_atomic(one->certificate, *sluice::read_file(two->certificate)));
  const auto swapped = make_identity(directory.str(), "one", "a");
  REQUIRE_FALSE(swapped);
  CHECK(swapped.error().reason == "bad-identity");
  REQUIRE(sluice::write_file_atomic(two->key, "nothing"));
  CHECK(make_identity(directory.str(), "two", "b").error().message ==
        two->key + " holds no private key");
  CHECK(make_identity(directory.str(), "three", "a,DNS:b").error().reason == "bad-identity");
  CHECK(make_identity(directory.str(), "three", "").error().reason == "bad-identity");
  CHECK(certificate_fingerprint("-----BEGIN CERTIFICATE-----").error().reason == "bad-identity");
}
