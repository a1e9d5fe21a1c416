#include "project/packed_tree.h"

#include <cstring>
#include <vector>

namespace sluice::project {

namespace {

constexpr std::uint8_t kKindBits = 3;
constexpr std::uint8_t kOtherFile = 4;  // a pointer follows
constexpr unsigned kDeepest = 512;

void put_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out.append(text);
}

class Packer {
 public:
  Packer(std::string& out, const File* file) : out_(out), file_(file) {}

  void pack(const Node& node) {
    const bool other = node.mark.file != file_;
    out_.push_back(
        static_cast<char>(static_cast<std::uint8_t>(node.kind) | (other ? kOtherFile : 0)));
    if (other) {
      file_ = node.mark.file;
      out_.append(reinterpret_cast<const char*>(&file_), sizeof file_);
    }
    // Lines go backwards too, in what was composed.
    const std::int64_t step = static_cast<std::int64_t>(node.mark.line) - line_;
    put_number(out_, step >= 0 ? static_cast<std::uint64_t>(step) << 1
                               : (static_cast<std::uint64_t>(-step) << 1) - 1);
    line_ = node.mark.line;
    put_number(out_, node.mark.column);
    if (node.is_scalar()) {
      put_text(out_, node.text);
      return;
    }
    put_number(out_, node.size());
    for (const Node* item : node.items()) pack(*item);
    for (const Entry& entry : node.entries()) {
      put_text(out_, entry.key);
      pack(*entry.value);
    }
  }

 private:
  std::string& out_;
  const File* file_;
  std::int64_t line_ = 0;
};

class Unpacker {
 public:
  Unpacker(Arena& arena, std::string_view rest, const File* file, OtherFiles others)
      : arena_(arena), rest_(rest), file_(file), others_(others) {}

  bool all_read() const { return rest_.empty(); }

  Node* unpack(unsigned depth) {
    if (rest_.empty() || depth > kDeepest) return nullptr;
    const auto head = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    if ((head & ~(kKindBits | kOtherFile)) != 0) return nullptr;
    if ((head & kOtherFile) != 0) {
      if (others_ != OtherFiles::kTaken || rest_.size() < sizeof file_) return nullptr;
      std::memcpy(&file_, rest_.data(), sizeof file_);
      rest_.remove_prefix(sizeof file_);
    }
    std::uint64_t step = 0;
    std::uint64_t column = 0;
    if (!number(step) || !number(column)) return nullptr;
    line_ += (step & 1) == 0 ? static_cast<std::int64_t>(step >> 1)
                             : -static_cast<std::int64_t>((step + 1) >> 1);
    const Mark mark{file_, static_cast<std::uint32_t>(line_), static_cast<std::uint32_t>(column)};
    switch (head & kKindBits) {
      case static_cast<std::uint8_t>(Kind::kScalar): {
        std::string_view text;
        return take_text(text) ? make_scalar(arena_, text, mark) : nullptr;
      }
      case static_cast<std::uint8_t>(Kind::kList): return list(mark, depth);
      case static_cast<std::uint8_t>(Kind::kMap): return map(mark, depth);
      default: return nullptr;
    }
  }

 private:
  Node* list(const Mark& mark, unsigned depth) {
    std::uint64_t count = 0;
    // The count can't be right when there are fewer bytes: each item takes one at least.
    if (!number(count) || count > rest_.size()) return nullptr;
    Node* list = make_list(arena_, mark);
    const std::size_t first = items_.size();
    for (std::uint64_t i = 0; i < count; ++i) {
      Node* item = unpack(depth + 1);
      if (item == nullptr) return nullptr;
      items_.push_back(item);
    }
    list->assign(arena_, std::span<Node* const>(items_).subspan(first));
    items_.resize(first);
    return list;
  }

  Node* map(const Mark& mark, unsigned depth) {
    std::uint64_t count = 0;
    if (!number(count) || count > rest_.size()) return nullptr;
    Node* map = make_map(arena_, mark);
    const std::size_t first = entries_.size();
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string_view key;
      if (!take_text(key)) return nullptr;
      Node* value = unpack(depth + 1);
      if (value == nullptr) return nullptr;
      entries_.push_back({key, value});
    }
    const bool distinct = map->assign(arena_, std::span<const Entry>(entries_).subspan(first));
    entries_.resize(first);
    return distinct ? map : nullptr;
  }

  bool number(std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool take_text(std::string_view& out) {
    std::uint64_t size = 0;
    if (!number(size) || size > rest_.size()) return false;
    out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  Arena& arena_;
  std::string_view rest_;
  const File* file_;
  const OtherFiles others_;
  std::int64_t line_ = 0;
  // Items and entries of lists and maps that aren't complete yet, those of an inner one behind
  // those of the outer.
  std::vector<Node*> items_;
  std::vector<Entry> entries_;
};

}  // namespace

void pack_tree(std::string& out, const Node& root, const File* file) {
  Packer(out, file).pack(root);
}

Node* unpack_tree(Arena& arena, std::string_view packed, const File* file, OtherFiles others) {
  Unpacker unpacker(arena, packed, file, others);
  Node* root = unpacker.unpack(0);
  return unpacker.all_read() ? root : nullptr;
}

}  // namespace sluice::project
