#include "loader/parse_cache.h"

#include <vector>

#include "base/sha256.h"

namespace sluice::loader {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 20;
// Beyond this only what this load has used stays.
constexpr std::size_t kLargest = std::size_t{32} << 20;
constexpr unsigned kDeepest = 512;

Node* read_node(KeptReader& reader, Arena& arena, const File& file, unsigned depth) {
  const auto kind = reader.number(1);
  Mark mark{&file, 0, 0};
  mark.line = static_cast<std::uint32_t>(reader.number(4));
  mark.column = static_cast<std::uint32_t>(reader.number(4));
  if (!reader.good() || depth > kDeepest) return nullptr;
  if (kind == static_cast<std::uint64_t>(Kind::kScalar)) return make_scalar(arena, arena.copy(reader.text()), mark);
  const std::uint64_t count = reader.number(4);
  if (kind == static_cast<std::uint64_t>(Kind::kList)) {
    Node* list = make_list(arena, mark);
    for (std::uint64_t i = 0; i < count && reader.good(); ++i) {
      Node* item = read_node(reader, arena, file, depth + 1);
      if (item == nullptr) return nullptr;
      list->append(arena, item);
    }
    return list;
  }
  if (kind != static_cast<std::uint64_t>(Kind::kMap)) return nullptr;
  Node* map = make_map(arena, mark);
  for (std::uint64_t i = 0; i < count && reader.good(); ++i) {
    const std::string_view key = arena.copy(reader.text());
    Node* value = read_node(reader, arena, file, depth + 1);
    if (value == nullptr) return nullptr;
    map->set(arena, key, value);
  }
  return map;
}

}  // namespace

void write_tree(std::string& out, const Node& node) {
  kept_number(out, static_cast<std::uint64_t>(node.kind), 1);
  kept_number(out, node.mark.line, 4);
  kept_number(out, node.mark.column, 4);
  if (node.is_scalar()) {
    kept_text(out, node.text);
    return;
  }
  kept_number(out, node.size(), 4);
  for (const Node* item : node.items()) write_tree(out, *item);
  for (const Entry& entry : node.entries()) {
    kept_text(out, entry.key);
    write_tree(out, *entry.value);
  }
}

Node* read_tree(Arena& arena, const File& file, std::string_view bytes) {
  KeptReader reader(bytes);
  Node* node = read_node(reader, arena, file, 0);
  return reader.good() && reader.rest().empty() ? node : nullptr;
}

ParseCache::ParseCache(std::string_view directory) : files_("parsed", kMostBytes), name_(sha256_hex(directory)) {}

void ParseCache::load() {
  loaded_ = true;
  auto kept = files_.read(name_);
  if (!kept) return;
  kept_ = std::move(*kept);
  KeptReader reader(kept_);
  while (reader.good() && !reader.rest().empty()) {
    const std::string sha256(reader.text());
    const std::string_view tree = reader.text();
    if (reader.good()) trees_.emplace(sha256, tree);
  }
}

Node* ParseCache::find(Arena& arena, const File& file, const std::string& sha256) {
  std::string_view bytes;
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) load();
    const auto found = trees_.find(sha256);
    if (found == trees_.end()) return nullptr;
    bytes = found->second;
    used_.insert(sha256);
  }
  return read_tree(arena, file, bytes);
}

void ParseCache::add(const std::string& sha256, const Node& root) {
  std::string bytes;
  write_tree(bytes, root);
  const std::lock_guard lock(mutex_);
  const auto [added, fresh] = new_.emplace(sha256, std::move(bytes));
  if (!fresh) return;
  trees_[sha256] = added->second;
  used_.insert(sha256);
  added_ = true;
}

void ParseCache::save() {
  const std::lock_guard lock(mutex_);
  if (!added_) return;
  std::size_t size = 0;
  for (const auto& [sha256, tree] : trees_) size += sha256.size() + tree.size() + 8;
  std::string all;
  for (const auto& [sha256, tree] : trees_) {
    if (size > kLargest && !used_.contains(sha256)) continue;
    kept_text(all, sha256);
    kept_text(all, tree);
  }
  files_.write(name_, all);
  added_ = false;
}

}  // namespace sluice::loader
