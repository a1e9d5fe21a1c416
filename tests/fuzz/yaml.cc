// YAML to trees, for libFuzzer (preset `fuzz`) and for replay_main.cc. The two ways of reading
// are held against each other: what is read as a simple file must come out of yaml-cpp as
// the same tree, places included.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "project/packed_tree.h"
#include "yaml/parse.h"
#include "yaml/simple.h"

using namespace sluice;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

std::string bytes_of(const yaml::Node& node) {
  std::string bytes;
  project::pack_tree(bytes, node, node.mark.file);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own, so that a sanitizer sees a read past its end.
  const std::string text(reinterpret_cast<const char*>(data), size);
  const yaml::File file{"fuzz.yml", "fuzz.yml"};
  yaml::Arena arena;
  const yaml::Node* simple = yaml::parse_simple_yaml(arena, file, text);
  const auto full = yaml::parse_full_yaml(arena, file, text);
  if (!full) {
    check(simple == nullptr);
    check(full.error().domain == "load" && full.error().reason == "invalid-yaml" &&
          !full.error().message.empty());
    return 0;
  }
  check((*full)->is_map());
  const std::string bytes = bytes_of(**full);
  if (simple != nullptr) check(bytes_of(*simple) == bytes);
  const yaml::Node* again =
      project::unpack_tree(arena, bytes, &file, project::OtherFiles::kRefused);
  check(again != nullptr && bytes_of(*again) == bytes);
  // Bytes of a tree may be anything where somebody wrote into the cache.
  (void)project::unpack_tree(arena, text, &file, project::OtherFiles::kRefused);
  return 0;
}
