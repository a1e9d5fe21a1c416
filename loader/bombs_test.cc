// Small projects that would grow without end: each ends in an error, in a moment.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "loader/loader.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

class Bomb : public TestDirectory {
 public:
  Bomb() {
    write("project.conf", "name: bomb\nmin-version: 2.0\n");
    write("user.conf", "");
  }
  Error load_target() {
    LoadRequest request;
    request.directory = str();
    request.targets = {"target.bst"};
    request.config = *this / "user.conf";
    const auto answer = load(request, {});
    if (answer) FAIL("it was loaded");
    return answer.error();
  }
};

TEST_CASE("variables that double and double") {
  Bomb bomb;
  std::string text = "kind: manual\nvariables:\n  v0: '0123456789'\n";
  for (int i = 1; i < 64; ++i) text += fmt::format("  v{}: '%{{v{}}}%{{v{}}}'\n", i, i - 1, i - 1);
  bomb.write("target.bst", text);
  const Error error = bomb.load_target();
  CHECK(error.reason == "unresolved-variable");
  CHECK(error.message.find("grows beyond") != std::string::npos);
  CHECK(error.provenance.file == "target.bst");
}

TEST_CASE("a thousand variables of one that is large") {
  Bomb bomb;
  std::string text = "kind: manual\nvariables:\n  large: " + std::string(1 << 20, 'x') + "\n";
  for (int i = 0; i < 1000; ++i) text += fmt::format("  v{}: '%{{large}}'\n", i);
  bomb.write("target.bst", text);
  const Error error = bomb.load_target();
  CHECK(error.reason == "unresolved-variable");
  CHECK(error.message.find("in all") != std::string::npos);
}

TEST_CASE("includes that double and double") {
  Bomb bomb;
  for (int i = 0; i < 40; ++i)
    bomb.write(fmt::format("i{}.yml", i),
               fmt::format("a:\n  (@): [i{}.yml]\nb:\n  (@): [i{}.yml]\n", i + 1, i + 1));
  bomb.write("i40.yml", "c: d\n");
  bomb.write("target.bst", "kind: manual\n(@): i0.yml\n");
  CHECK(bomb.load_target().reason == "recursive-include");
}

TEST_CASE("blocks within blocks, and lists within lists") {
  Bomb bomb;
  std::string text = "kind: manual\nconfig:\n";
  SECTION("maps") {
    for (std::size_t i = 1; i < 2000; ++i) text += std::string(i, ' ') + "a:\n";
  }
  SECTION("lists") {
    text += "  ";
    for (int i = 0; i < 2000; ++i) text += "- ";
    text += "a\n";
  }
  SECTION("in brackets") { text += "  " + std::string(100'000, '['); }
  bomb.write("target.bst", text);
  CHECK(bomb.load_target().reason == "invalid-yaml");
}

TEST_CASE("aliases of aliases") {
  Bomb bomb;
  std::string text = "kind: manual\na0: &a0 [x, x]\n";
  for (int i = 1; i < 64; ++i) text += fmt::format("a{}: &a{} [*a{}, *a{}]\n", i, i, i - 1, i - 1);
  bomb.write("target.bst", text);
  const Error error = bomb.load_target();
  CHECK(error.reason == "invalid-yaml");
  CHECK(error.provenance.line == 2);
}

}  // namespace
}  // namespace sluice::loader
