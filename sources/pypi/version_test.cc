// Versions of Python's distributions, against what packaging 26.2 says of them.
#include "sources/pypi/version.h"

#include <algorithm>

#include <catch2/catch.hpp>

namespace sluice::sources::pypi {
namespace {

std::string text_of(std::string_view text) {
  const auto version = Version::parse(text);
  return version ? version->str() : "none";
}

TEST_CASE("a version is written as packaging writes it") {
  CHECK(text_of("1.0") == "1.0");
  CHECK(text_of(" v1.0.0\n") == "1.0.0");
  CHECK(text_of("1.0-alpha") == "1.0a0");
  CHECK(text_of("1.0.C-01") == "1.0rc1");
  CHECK(text_of("1.0PREVIEW2") == "1.0rc2");
  CHECK(text_of("1.0-1") == "1.0.post1");
  CHECK(text_of("1.0-r4.dev") == "1.0.post4.dev0");
  CHECK(text_of("1.0a1.post2.dev3+Ubuntu-1_x") == "1.0a1.post2.dev3+ubuntu.1.x");
  CHECK(text_of("2!007.010") == "2!7.10");
  CHECK(text_of("0!1") == "1");
  CHECK(text_of("20240102030405060708091011121314.1") == "20240102030405060708091011121314.1");
}

TEST_CASE("what is no version is none") {
  for (const std::string_view text :
       {"", " ", "v", "a1", "1.0.x", "1..0", "1.", "1!", "1+", "1+a..b", "1.0 1", "1.0a1b2",
        "1.0.dev1.post2", "1.0-", "1-2-3"}) {
    INFO(text);
    CHECK(text_of(text) == "none");
  }
}

TEST_CASE("versions are in packaging's order") {
  constexpr std::string_view kOrdered[] = {"1.dev0",        "1.0.dev456",    "1.0a1",
                                           "1.0a2.dev456",  "1.0a12.dev456", "1.0a12",
                                           "1.0b1.dev5",    "1.0b2",         "1.0b2.post345.dev456",
                                           "1.0b2.post345", "1.0rc1.dev456", "1.0rc1",
                                           "1.0",           "1.0+abc.5",     "1.0+abc.7",
                                           "1.0+5",         "1.0+5.1",       "1.0.post456.dev34",
                                           "1.0.post456",   "1.0.15",        "1.1.dev1",
                                           "1.9",           "1.10",          "1!0.1"};
  for (std::size_t i = 0; i < std::size(kOrdered); ++i) {
    for (std::size_t j = 0; j < std::size(kOrdered); ++j) {
      INFO(kOrdered[i] << " " << kOrdered[j]);
      CHECK((*Version::parse(kOrdered[i]) < *Version::parse(kOrdered[j])) == (i < j));
    }
  }
  CHECK(*Version::parse("1.0") == *Version::parse("1.0.0"));
  CHECK(*Version::parse("1.0-1") == *Version::parse("1.post1"));
  CHECK(*Version::parse("1.0a") == *Version::parse("1.0.a.0"));
}

TEST_CASE("prereleases are told from releases") {
  CHECK(Version::parse("1.0rc1")->is_prerelease());
  CHECK(Version::parse("1.0.post1.dev2")->is_prerelease());
  CHECK_FALSE(Version::parse("1.0.post1")->is_prerelease());
}

TEST_CASE("the name of a source distribution tells its version") {
  CHECK(version_of_sdist("a-b-1.0.tar.gz")->str() == "1.0");
  CHECK(version_of_sdist("a-1.0rc1.zip")->str() == "1.0rc1");
  CHECK_FALSE(version_of_sdist("a.tar.gz"));
  CHECK_FALSE(version_of_sdist("a-1.0.tar.bz2"));
  CHECK_FALSE(version_of_sdist("a-1.0-py3-none-any.whl"));
  CHECK_FALSE(version_of_sdist("a-x.tar.gz"));
}

}  // namespace
}  // namespace sluice::sources::pypi
