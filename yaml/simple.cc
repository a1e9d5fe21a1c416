#include "yaml/simple.h"

#include <array>
#include <cstring>
#include <vector>

namespace sluice::yaml {

namespace {

constexpr unsigned kDeepest = 64;
constexpr std::size_t kLongestKey = 128;

// Characters that may begin a plain scalar, beyond doubt. ('-' may too, but not before a space.)
constexpr std::array<bool, 256> kPlainStart = [] {
  std::array<bool, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("_(/.+$")) table[static_cast<std::size_t>(c)] = true;
  return table;
}();

// Characters that plain scalars in brackets are made of here.
constexpr std::array<bool, 256> kFlow = [] {
  std::array<bool, 256> table = kPlainStart;
  for (const char c : std::string_view("-=")) table[static_cast<std::size_t>(c)] = true;
  table['('] = false;
  table['$'] = false;
  return table;
}();

bool starts_plain(char c) { return kPlainStart[static_cast<unsigned char>(c)]; }

// Whether a text is ASCII without control characters.
bool is_plain_text(std::string_view text) {
  for (const char c : text) {
    // Bytes beyond ASCII are below ' ' too, since char is signed.
    if ((c < ' ' && c != '\n') || c == 0x7f) return false;
  }
  return true;
}

// Whether a text begins as one of the words that yaml-cpp takes for nothing.
bool begins_as_null(std::string_view text) {
  return text.starts_with("null") || text.starts_with("Null") || text.starts_with("NULL");
}

std::string_view strip_spaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

class Reader {
 public:
  Reader(Arena& arena, const File& file, std::string_view text)
      : arena_(arena), file_(file), text_(text) {}

  Node* run() {
    next_line(0, 0);
    if (done_) return make_map(arena_, Mark{&file_, 0, 0});
    if (cursor_ != begin_) return nullptr;
    Node* root = read_map(0);
    return root != nullptr && done_ ? root : nullptr;
  }

 private:
  // Goes to the first line at or after `position` that says something.
  void next_line(std::size_t position, std::uint32_t number) {
    while (position < text_.size()) {
      begin_ = position;
      number_ = number;
      const void* newline = std::memchr(text_.data() + position, '\n', text_.size() - position);
      end_ = newline != nullptr
                 ? static_cast<std::size_t>(static_cast<const char*>(newline) - text_.data())
                 : text_.size();
      cursor_ = begin_;
      while (cursor_ < end_ && text_[cursor_] == ' ') ++cursor_;
      if (cursor_ < end_ && text_[cursor_] != '#') return;
      position = end_ + 1;
      ++number;
    }
    done_ = true;
  }
  void next_line() { next_line(end_ + 1, number_ + 1); }

  std::uint32_t column() const { return static_cast<std::uint32_t>(cursor_ - begin_); }
  Mark mark_at(std::size_t position) const {
    return {&file_, number_, static_cast<std::uint32_t>(position - begin_)};
  }
  bool at_item() const {
    return cursor_ + 1 < end_ && text_[cursor_] == '-' && text_[cursor_ + 1] == ' ';
  }

  // Whether nothing but a comment is left of the line.
  bool rest_is_empty(std::size_t position) const {
    if (position == end_) return true;
    if (text_[position] != ' ') return false;
    while (position < end_ && text_[position] == ' ') ++position;
    return position == end_ || text_[position] == '#';
  }

  // Where the colon is that ends the key at `position`; npos when no plain key is there.
  std::size_t find_colon(std::size_t position) const {
    for (std::size_t i = position; i < end_; ++i) {
      if (text_[i] == ':' && (i + 1 == end_ || text_[i + 1] == ' ')) return i;
      if (text_[i] == '#' && text_[i - 1] == ' ') break;
    }
    return std::string_view::npos;
  }

  // Reads a map whose first key is at the cursor, in `column`.
  Node* read_map(std::uint32_t column) {
    if (++depth_ > kDeepest) return nullptr;
    const std::size_t first = entries_.size();
    Node* map = make_map(arena_, mark_at(cursor_));
    do {
      const std::size_t key = cursor_;
      if (!starts_plain(text_[key])) return nullptr;
      const std::size_t colon = find_colon(key);
      if (colon == std::string_view::npos || colon - key > kLongestKey || text_[colon - 1] == ' ')
        return nullptr;
      const std::string_view name = text_.substr(key, colon - key);
      if (begins_as_null(name)) return nullptr;
      Node* value = nullptr;
      if (rest_is_empty(colon + 1)) {
        const Mark behind_colon = mark_at(colon + 1);
        next_line();
        const bool deeper = !done_ && this->column() > column;
        if (!done_ && at_item() && this->column() >= column) {
          value = read_list(this->column());
        } else if (deeper) {
          value = read_map(this->column());
        } else {
          value = make_scalar(arena_, {}, behind_colon);
        }
      } else {
        cursor_ = colon + 2;
        while (text_[cursor_] == ' ') ++cursor_;
        value = read_value(column);
      }
      if (value == nullptr) return nullptr;
      entries_.push_back({name, value});
    } while (!done_ && this->column() == column && !at_item());
    if (!done_ && this->column() > column) return nullptr;
    const bool unique = map->assign(arena_, std::span<const Entry>(entries_).subspan(first));
    entries_.resize(first);
    --depth_;
    return unique ? map : nullptr;
  }

  // Reads a list whose first dash is at the cursor, in `column`.
  Node* read_list(std::uint32_t column) {
    if (++depth_ > kDeepest) return nullptr;
    const std::size_t first = items_.size();
    Node* list = make_list(arena_, mark_at(cursor_));
    do {
      ++cursor_;
      if (rest_is_empty(cursor_)) return nullptr;
      while (text_[cursor_] == ' ') ++cursor_;
      if (at_item()) return nullptr;
      const bool map =
          starts_plain(text_[cursor_]) && find_colon(cursor_) != std::string_view::npos;
      Node* item = map ? read_map(this->column()) : read_value(column);
      if (item == nullptr) return nullptr;
      items_.push_back(item);
    } while (!done_ && this->column() == column && at_item());
    if (!done_ && this->column() > column) return nullptr;
    list->assign(arena_, std::span<Node* const>(items_).subspan(first));
    items_.resize(first);
    --depth_;
    return list;
  }

  // Reads a scalar or a list in brackets at the cursor, and goes on to the next line, which must
  // not be part of it: that line lies no deeper than `parent`, the column of what the value is in.
  Node* read_value(std::uint32_t parent) {
    const char c = text_[cursor_];
    if (c == '|' || c == '>') return read_block(parent);
    Node* value = nullptr;
    std::size_t end = cursor_;
    if (c == '\'' || c == '"') {
      value = read_quoted(cursor_, end);
    } else if (c == '[' || c == '{') {
      value = read_flow(end);
    } else {
      value = read_plain(end);
    }
    if (value == nullptr || !rest_is_empty(end)) return nullptr;
    next_line();
    return done_ || column() <= parent ? value : nullptr;
  }

  Node* read_plain(std::size_t& end) {
    const std::size_t begin = cursor_;
    const char c = text_[begin];
    if (!starts_plain(c) && !(c == '-' && begin + 1 < end_ && text_[begin + 1] != ' '))
      return nullptr;
    std::size_t last = begin;  // behind the last character that is no space
    for (std::size_t i = begin; i < end_; ++i) {
      const char at = text_[i];
      if (at == ':' && (i + 1 == end_ || text_[i + 1] == ' ')) return nullptr;
      if (at == '#' && text_[i - 1] == ' ') break;
      if (at != ' ') last = i + 1;
    }
    end = last;
    const std::string_view value = text_.substr(begin, last - begin);
    if (begins_as_null(value)) return nullptr;
    return make_scalar(arena_, value, mark_at(begin));
  }

  Node* read_quoted(std::size_t position, std::size_t& end) {
    const char quote = text_[position];
    const std::size_t begin = position + 1;
    bool doubled = false;
    std::size_t i = begin;
    for (; i < end_; ++i) {
      if (text_[i] == '\\' && quote == '"') return nullptr;
      if (text_[i] != quote) continue;
      if (quote == '"' || i + 1 >= end_ || text_[i + 1] != quote) break;
      doubled = true;
      ++i;
    }
    if (i >= end_) return nullptr;
    end = i + 1;
    std::string_view value = text_.substr(begin, i - begin);
    if (doubled) {
      char* memory = static_cast<char*>(arena_.allocate(value.size(), 1));
      std::size_t size = 0;
      for (std::size_t k = 0; k < value.size(); ++k) {
        memory[size++] = value[k];
        if (value[k] == '\'') ++k;
      }
      value = {memory, size};
    }
    return make_scalar(arena_, strip_spaces(value), mark_at(position));
  }

  // Reads [], {}, or a list of words and quoted scalars in one line.
  Node* read_flow(std::size_t& end) {
    std::size_t i = cursor_ + 1;
    const auto skip = [&] {
      while (i < end_ && text_[i] == ' ') ++i;
      return i < end_;
    };
    if (text_[cursor_] == '{') {
      if (!skip() || text_[i] != '}') return nullptr;
      end = i + 1;
      return make_map(arena_, mark_at(cursor_));
    }
    Node* list = make_list(arena_, mark_at(cursor_));
    const std::size_t first = items_.size();
    if (!skip()) return nullptr;
    while (text_[i] != ']') {
      if (text_[i] == '\'' || text_[i] == '"') {
        Node* item = read_quoted(i, i);
        if (item == nullptr) return nullptr;
        items_.push_back(item);
      } else {
        const std::size_t begin = i;
        if (!starts_plain(text_[i]) || !kFlow[static_cast<unsigned char>(text_[i])]) return nullptr;
        while (i < end_ && kFlow[static_cast<unsigned char>(text_[i])]) ++i;
        const std::string_view word = text_.substr(begin, i - begin);
        if (begins_as_null(word)) return nullptr;
        items_.push_back(make_scalar(arena_, word, mark_at(begin)));
      }
      if (!skip()) return nullptr;
      if (text_[i] == ']') break;
      if (text_[i] != ',') return nullptr;
      ++i;
      if (!skip() || text_[i] == ']') return nullptr;
    }
    end = i + 1;
    list->assign(arena_, std::span<Node* const>(items_).subspan(first));
    items_.resize(first);
    return list;
  }

  // Reads a literal or folded block. White space at a scalar's ends doesn't count, so neither does
  // the indicator of what becomes of the last lines.
  Node* read_block(std::uint32_t parent) {
    const bool folded = text_[cursor_] == '>';
    const Mark mark = mark_at(cursor_);
    std::size_t position = cursor_ + 1;
    if (position < end_ && (text_[position] == '-' || text_[position] == '+')) ++position;
    while (position < end_ && text_[position] == ' ') ++position;
    if (position != end_) return nullptr;

    std::size_t at = end_ + 1;
    std::uint32_t number = number_ + 1;
    std::size_t indent = 0;
    std::vector<std::string_view>& lines = lines_;
    lines.clear();
    std::size_t size = 0;
    std::size_t blanks = 0;
    while (at < text_.size()) {
      std::size_t stop = text_.find('\n', at);
      if (stop == std::string_view::npos) stop = text_.size();
      std::size_t content = at;
      while (content < stop && text_[content] == ' ') ++content;
      const std::size_t spaces = content - at;
      if (content == stop) {
        // Spaces before the first line are at the scalar's end, and so don't count.
        if (spaces > indent) return nullptr;
        if (!lines.empty()) ++blanks;
      } else {
        if (lines.empty()) {
          if (spaces <= parent) return nullptr;
          indent = spaces;
        } else if (spaces < indent) {
          if (spaces > parent) return nullptr;
          break;
        }
        // Folding keeps empty and deeper lines apart, which is left to yaml-cpp.
        if (folded && (blanks > 0 || spaces > indent || text_[stop - 1] == ' ')) return nullptr;
        for (; blanks > 0; --blanks) lines.emplace_back();
        lines.push_back(text_.substr(at + indent, stop - at - indent));
        size += lines.back().size();
      }
      at = stop + 1;
      ++number;
    }
    if (lines.empty()) return nullptr;
    std::string_view value = lines.front();
    if (lines.size() > 1) {
      char* memory = static_cast<char*>(arena_.allocate(size + lines.size() - 1, 1));
      char* to = memory;
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) *to++ = folded ? ' ' : '\n';
        if (!lines[i].empty()) std::memcpy(to, lines[i].data(), lines[i].size());
        to += lines[i].size();
      }
      value = {memory, static_cast<std::size_t>(to - memory)};
    }
    next_line(at, number);
    if (!done_ && column() > parent) return nullptr;
    return make_scalar(arena_, strip_spaces(value), mark);
  }

  Arena& arena_;
  const File& file_;
  const std::string_view text_;
  // The current line: where it begins and ends, and where what is still to be read begins.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t cursor_ = 0;
  std::uint32_t number_ = 0;
  bool done_ = false;
  unsigned depth_ = 0;
  // Entries, items and lines of the maps, lists and blocks that are being read, those of an inner
  // one behind those of the outer.
  std::vector<Entry> entries_;
  std::vector<Node*> items_;
  std::vector<std::string_view> lines_;
};

}  // namespace

Node* parse_simple_yaml(Arena& arena, const File& file, std::string_view text) {
  if (!is_plain_text(text)) return nullptr;
  return Reader(arena, file, text).run();
}

}  // namespace sluice::yaml
