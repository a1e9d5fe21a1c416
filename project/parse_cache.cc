#include "project/parse_cache.h"

#include "base/sha256.h"
#include "project/packed_tree.h"

namespace sluice::project {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 20;
// The size of a file, in bytes, beyond which only what this load has used stays in it.
constexpr std::size_t kLargest = std::size_t{32} << 20;
}  // namespace

ParseCache::ParseCache(std::string_view directory)
    : files_("parsed", kMostBytes), name_(sha256_hex(directory)) {}

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
  return unpack_tree(arena, arena.copy(bytes), &file, OtherFiles::kRefused);
}

void ParseCache::add(const std::string& sha256, const Node& root) {
  std::string bytes;
  pack_tree(bytes, root, root.mark.file);
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

}  // namespace sluice::project
