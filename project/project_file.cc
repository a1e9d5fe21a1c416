#include "project/project_file.h"

#include "project/lookups.h"
#include "project/packed_tree.h"
#include "project/parse_cache.h"
#include "project/read_ahead.h"
#include "yaml/simple.h"

namespace sluice::project {

Result<Node*> parse_yaml_kept(ParseCache* cache, Arena& arena, const File& file,
                              std::string_view text, const std::string& sha256) {
  if (text.size() <= kLargestFile) {
    if (Node* simple = parse_simple_yaml(arena, file, text)) return simple;
  }
  if (cache != nullptr) {
    if (Node* kept = cache->find(arena, file, sha256)) return kept;
  }
  auto node = parse_full_yaml(arena, file, text);
  if (node && cache != nullptr) cache->add(sha256, **node);
  return node;
}

Result<Node*> load_yaml(Lookups& lookups, Arena& arena, const File& file) {
  if (lookups.ahead() != nullptr) {
    if (const auto parsed = lookups.ahead()->take(file.path)) {
      *parsed->file = file;
      lookups.note(parsed->lookup);
      return unpack_tree(arena, arena.copy(parsed->tree), parsed->file, OtherFiles::kRefused);
    }
  }
  std::string sha256;
  auto text = lookups.read(arena, file.path, &sha256);
  if (!text) {
    if (text.error().reason == "invalid-yaml") text.error().provenance = {file.display, 0, 0};
    return forward(text);
  }
  return parse_yaml_kept(lookups.parsed(), arena, file, *text, sha256);
}

}  // namespace sluice::project
