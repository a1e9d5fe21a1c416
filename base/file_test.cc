#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/paths.h"
#include "base/sha256.h"
#include "tests/support/test_directory.h"

using namespace sluice;

TEST_CASE("remove_tree does not follow symbolic links and opens closed directories") {
  const TestDirectory directory;
  const std::string& root = directory.str();
  REQUIRE(make_directories(root + "/outside").has_value());
  REQUIRE(write_file_atomic(root + "/outside/kept", "x").has_value());
  REQUIRE(make_directories(root + "/tree/a/b").has_value());
  REQUIRE(write_file_atomic(root + "/tree/a/b/file", "x").has_value());
  REQUIRE(::symlink("../outside", (root + "/tree/link").c_str()) == 0);
  REQUIRE(::chmod((root + "/tree/a/b").c_str(), 0000) == 0);
  CHECK(remove_tree(root + "/tree").has_value());
  CHECK_FALSE(path_exists(root + "/tree"));
  CHECK(path_exists(root + "/outside/kept"));
  CHECK(remove_tree(root + "/absent").has_value());
  CHECK(remove_tree(root).has_value());
}

TEST_CASE("an atomic write that can't be done names the path and leaves nothing") {
  const auto status = write_file_atomic("/proc/none/file", "x");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().message.find("/proc/none/file") != std::string::npos);
}

TEST_CASE("sha256 keeps its midstate in a copy") {
  Sha256 prefix;
  prefix.update("ab");
  Sha256 copy = prefix;
  copy.update("c");
  prefix.update("d");
  CHECK(copy.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(prefix.hex() == sha256_hex("abd"));
}

TEST_CASE("a file's URL has no character that ends or divides one") {
  CHECK(file_url("far", "/logs/a b#c?d%e.log") == "file://far/logs/a%20b%23c%3Fd%25e.log");
  CHECK(file_url("far", "/ü/c++@1,2=~.log") == "file://far/%C3%BC/c++@1,2=~.log");
}

TEST_CASE("paths as Python's os.path has them") {
  CHECK(normalize("") == ".");
  CHECK(normalize("./a//b/../c/.") == "a/c");
  CHECK(normalize("../a/..") == "..");
  CHECK(normalize("/..//a") == "/a");
  CHECK(normalize("//a") == "//a");
  CHECK(join("a", "b") == "a/b");
  CHECK(join("a/", "/b") == "/b");
  CHECK(parent("a/b") == "a");
  CHECK(parent("/a") == "/");
  CHECK(parent("a") == "");
}
