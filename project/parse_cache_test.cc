#include "project/parse_cache.h"

#include <cstdlib>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "project/lookups.h"
#include "project/packed_tree.h"
#include "project/project_file.h"
#include "project/read_ahead.h"
#include "project/yaml.h"
#include "tests/support/test_directory.h"
#include "yaml/json.h"

namespace sluice::project {
namespace {

class Directory : public TestDirectory {
 public:
  Directory() { ::setenv("XDG_CACHE_HOME", (*this / "cache").c_str(), 1); }
  ~Directory() { ::unsetenv("XDG_CACHE_HOME"); }
};

std::string json(const Node& node) {
  std::string text;
  json_node(text, node);
  return text;
}

TEST_CASE("trees are kept with their places, and only whole") {
  Arena arena;
  const File file{"a.yml", "a.yml"};
  const auto node = parse_yaml(arena, file, "a: [1, {b: \"c\\n\"}]\nd:\n  e: |\n    f\n  g: ''\n");
  REQUIRE(node);
  std::string bytes;
  pack_tree(bytes, **node, &file);
  const Node* again = unpack_tree(arena, bytes, &file, OtherFiles::kRefused);
  REQUIRE(again != nullptr);
  CHECK(json(*again) == json(**node));
  CHECK(again->find("d")->find("e")->mark == (*node)->find("d")->find("e")->mark);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    REQUIRE(unpack_tree(arena, std::string_view(bytes).substr(0, size), &file,
                        OtherFiles::kRefused) == nullptr);
  CHECK(unpack_tree(arena, bytes + "x", &file, OtherFiles::kRefused) == nullptr);
}

TEST_CASE("what yaml-cpp read is found by the next load") {
  const Directory directory;
  Arena arena;
  const File file{"a.yml", "a.yml"};
  const std::string text = "a: \"\\x41\"\n";  // no simple file, for its escape
  {
    ParseCache cache("/project");
    REQUIRE(parse_yaml_kept(&cache, arena, file, text, "key"));
    cache.save();
  }
  ParseCache cache("/project");
  const Node* kept = cache.find(arena, file, "key");
  REQUIRE(kept != nullptr);
  CHECK(json(*kept) == "{\"a\":\"A\"}");
  CHECK(cache.find(arena, file, "other") == nullptr);
  CHECK(ParseCache("/another").find(arena, file, "key") == nullptr);
}

TEST_CASE("files are read ahead, through chains, wide fans and whatever is wrong with them") {
  const Directory directory;
  constexpr int kCount = 300;
  for (int i = 0; i < kCount; ++i) {
    directory.write(fmt::format("elements/e{}.bst", i),
                    fmt::format("kind: manual\ndepends:\n- filename: [e{}.bst, 'e{}.bst']\n  type: "
                                "build\n- absent.bst\n- j.bst:x.bst\n",
                                i + 1, i * 7 % kCount));
  }
  directory.write(fmt::format("elements/e{}.bst", kCount), "kind: [\n");
  Lookups lookups;
  lookups.start(directory.str());
  Arena arena;
  std::vector<std::string> targets;
  for (int i = 0; i < 40; ++i) targets.push_back(fmt::format("e{}.bst", i));
  lookups.ahead()->expect(directory / "elements", targets);
  for (int i = 0; i < kCount; ++i) {
    const File file{directory / fmt::format("elements/e{}.bst", i), fmt::format("e{}.bst", i)};
    const auto node = load_yaml(lookups, arena, file);
    REQUIRE(node);
    CHECK((*node)->mark.file->display == file.display);
    CHECK((*node)->find("kind")->text == "manual");
    lookups.ahead()->expect(directory / "elements", **node);
  }
  const File broken{directory / fmt::format("elements/e{}.bst", kCount), "broken.bst"};
  const auto refused = load_yaml(lookups, arena, broken);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().provenance.file == "broken.bst");
  const auto absent = load_yaml(lookups, arena, {directory / "elements/absent.bst", "absent.bst"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().reason == "missing-file");
  // A lookup is noted for each file that was taken, and for nothing else.
  CHECK(lookups.noted().size() == kCount + 2);
}

}  // namespace
}  // namespace sluice::project
