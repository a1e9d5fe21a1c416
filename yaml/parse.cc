#include "yaml/parse.h"

#include <istream>
#include <optional>
#include <streambuf>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "base/try.h"
#include "yaml/dump.h"
#include "yaml/simple.h"

namespace sluice::yaml {

namespace {

constexpr std::string_view kNoAnchors = "Anchors are disallowed in BuildStream";

// Thrown through yaml-cpp's parser to stop it; caught in parse_yaml().
struct Malformed {
  std::string message;
  Mark mark;
};

// yaml-cpp wants a stream; this one reads what is in memory already.
class MemoryBuffer : public std::streambuf {
 public:
  explicit MemoryBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir direction,
                   std::ios_base::openmode) override {
    char* base = direction == std::ios_base::beg   ? eback()
                 : direction == std::ios_base::cur ? gptr()
                                                   : egptr();
    if (base + offset < eback() || base + offset > egptr()) return pos_type(off_type(-1));
    setg(eback(), base + offset, egptr());
    return gptr() - eback();
  }
  pos_type seekpos(pos_type position, std::ios_base::openmode which) override {
    return seekoff(off_type(position), std::ios_base::beg, which);
  }
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// yaml-cpp ends a plain scalar in braces or brackets at any question mark; libyaml takes
// one for an indicator only where a token can begin. The others are hidden from yaml-cpp
// behind a byte that is nowhere in UTF-8.
constexpr char kHiddenQuestionMark = '\xff';

std::string hide_question_marks(std::string_view text) {
  std::string hidden(text);
  char before = '\n';  // the last character that is no blank
  for (char& c : hidden) {
    if (c == '?' && std::string_view("\n[{,-?:").find(before) == std::string_view::npos)
      c = kHiddenQuestionMark;
    if (!is_blank(c)) before = c;
  }
  return hidden;
}

// The value with its question marks put back, and with what yaml-cpp makes of \N and \_ in double
// quotes (Latin-1) as UTF-8.
std::string repair(const std::string& value) {
  std::string repaired;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if (value[i] == kHiddenQuestionMark) {
      repaired += '?';
      continue;
    }
    if (c == 0x85 || c == 0xa0) repaired += '\xc2';
    repaired += value[i];
    if (c < 0xc0) continue;
    for (std::size_t more = c >= 0xf0   ? 3
                            : c >= 0xe0 ? 2
                                        : 1;
         more > 0 && i + 1 < value.size(); --more)
      repaired += value[++i];
  }
  return repaired;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(Arena& arena, const File& file, std::string_view text)
      : arena_(arena), file_(file), text_(text) {
    ascii_ = true;
    for (const char c : text) ascii_ = ascii_ && static_cast<unsigned char>(c) < 0x80;
  }

  Node* root() const { return root_; }
  // The place that was reached, for errors. It is set as soon as the document begins.
  Mark last_mark() const { return last_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    last_ = place(mark);
    // A second document is refused when its first node arrives.
    ++documents_;
  }
  void OnDocumentEnd() override {
    if (root_ == nullptr || documents_ > 1)
      refuse("Zero, or more than one document found in YAML stream", last_);
  }

  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    // Either nothing at all, or one of the words that yaml-cpp takes for null; for
    // BuildStream the former is an empty string, the latter that word.
    const std::string_view word = null_word(mark);
    if (!word.empty()) {
      add_scalar(place(mark), word);
      return;
    }
    const auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (expects_key() && at < text_.size() && text_[at] == ':')
      refuse("did not find expected key", place(mark));
    add_nothing(mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    // "!" is what yaml-cpp says of quotes too.
    const bool written = tag == "!" && mark.pos >= 0 &&
                         static_cast<std::size_t>(mark.pos) < text_.size() &&
                         text_[static_cast<std::size_t>(mark.pos)] == '!';
    if (written ||
        (!tag.empty() && tag != "?" && tag != "!" && !tag.starts_with("tag:yaml.org,2002:"))) {
      refuse("Non-core tag expressed in input. This is disallowed in BuildStream.", place(mark));
    }
    last_scalar_ = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (value.find_first_of("\x85\xa0\xff") == std::string::npos) {
      add_scalar(place(mark), value);
    } else {
      add_scalar(place(mark), repair(value));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    open(make_list(arena_, place(mark)), style != YAML::EmitterStyle::Flow);
  }
  void OnSequenceEnd() override { levels_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value style) override {
    open(make_map(arena_, place(mark)), style != YAML::EmitterStyle::Flow);
  }
  void OnMapEnd() override { levels_.pop_back(); }

  // Whether the text ends within quotes, which yaml-cpp takes for their end.
  bool unfinished() const {
    if (last_scalar_ >= text_.size()) return false;
    const char quote = text_[last_scalar_];
    if (quote != '"' && quote != '\'') return false;
    for (std::size_t i = last_scalar_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\' && quote == '"') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '"' || i + 1 >= text_.size() || text_[i + 1] != quote) return false;
        ++i;
      }
    }
    return true;
  }

  // A mark of yaml-cpp as a place that counts as we do.
  Mark place(const YAML::Mark& mark) const {
    Mark result{&file_, static_cast<std::uint32_t>(std::max(mark.line, 0)),
                static_cast<std::uint32_t>(std::max(mark.column, 0))};
    if (!ascii_) {
      // yaml-cpp counts bytes, columns are characters.
      const std::size_t end =
          std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
      const std::size_t begin = end >= result.column ? end - result.column : 0;
      std::uint32_t continuation = 0;
      for (std::size_t i = begin; i < end; ++i)
        continuation += (static_cast<unsigned char>(text_[i]) & 0xc0) == 0x80;
      result.column -= continuation;
    }
    return result;
  }

 private:
  struct Level {
    Node* node = nullptr;
    bool block = false;  // whether it is in block style, rather than in braces or brackets
    // Whether the next event of a map is a value.
    bool has_key = false;
    std::string_view key;
    std::size_t key_position = 0;  // byte of the text
  };

  std::size_t last_scalar_ = std::string::npos;  // byte of the text

  [[noreturn]] void refuse(std::string message, Mark mark) const {
    throw Malformed{std::move(message), mark};
  }
  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    refuse(std::string(kNoAnchors), place(mark));
  }

  std::string_view null_word(const YAML::Mark& mark) const {
    if (mark.pos < 0 || static_cast<std::size_t>(mark.pos) >= text_.size()) return {};
    // A key alone is reported at its own place.
    if (!levels_.empty() && levels_.back().has_key &&
        static_cast<std::size_t>(mark.pos) == levels_.back().key_position)
      return {};
    const std::string_view rest = text_.substr(static_cast<std::size_t>(mark.pos));
    for (std::string_view word : {"~", "null", "Null", "NULL"}) {
      if (!rest.starts_with(word)) continue;
      std::size_t next = word.size();
      if (next < rest.size() &&
          std::string_view(" \t\r\n,]}:").find(rest[next]) == std::string_view::npos)
        continue;
      if (expects_key()) return word;
      // Where a value is expected, the word may be the key of the next line, and the value nothing
      // at all.
      while (next < rest.size() && is_blank(rest[next])) ++next;
      const bool is_key =
          next < rest.size() && rest[next] == ':' &&
          (next + 1 == rest.size() ||
           std::string_view(" \t\r\n").find(rest[next + 1]) != std::string_view::npos);
      if (!is_key) return word;
    }
    return {};
  }

  bool expects_key() const {
    return !levels_.empty() && levels_.back().node->is_map() && !levels_.back().has_key;
  }

  // Adds an empty scalar where a value could be and none is written. Its place is where the colon
  // of its key ends, while yaml-cpp reports the place of what follows. A key without a colon has no
  // such place.
  void add_nothing(const YAML::Mark& mark) {
    Mark result = place(mark);
    if (!levels_.empty() && levels_.back().has_key) {
      const Level& level = levels_.back();
      const std::size_t end = end_of_key(level);
      std::size_t colon = end;
      while (colon < text_.size() && is_blank(text_[colon])) ++colon;
      if (colon < text_.size() && text_[colon] == ':') {
        result = key_mark_;
        for (std::size_t i = level.key_position; i <= colon; ++i)
          result.column += (static_cast<unsigned char>(text_[i]) & 0xc0) != 0x80;
      } else if (level.block && !is_explicit(level)) {
        refuse("could not find expected ':'", key_mark_);
      }
    } else if (!levels_.empty() && levels_.back().block) {
      result = behind_dash(levels_.back(), mark);
    }
    put(make_scalar(arena_, {}, result));
  }

  // The place behind the dash of an item of a block list that has nothing else: the last dash in
  // the list's column before `mark`, which is where the next thing is.
  Mark behind_dash(const Level& level, const YAML::Mark& mark) const {
    const std::uint32_t column = level.node->mark.column;
    std::size_t end = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
    Mark result = place(mark);
    for (std::uint32_t line = result.line;; --line) {
      const std::size_t newline = end == 0 ? std::string_view::npos : text_.rfind('\n', end - 1);
      const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
      const std::string_view before = text_.substr(begin, end - begin);
      if (before.size() > column && before[column] == '-' &&
          before.substr(0, column).find('#') == std::string_view::npos) {
        return Mark{&file_, line, column + 1};
      }
      if (line <= level.node->mark.line || begin == 0) return result;
      end = begin - 1;
    }
  }

  // Where a key ends in the text: behind its quote, or its last character.
  std::size_t end_of_key(const Level& level) const {
    std::size_t at = level.key_position;
    if (at >= text_.size()) return at;
    if (text_[at] != '"' && text_[at] != '\'') return at + level.key.size();
    const char quote = text_[at++];
    while (at < text_.size()) {
      if (text_[at] == '\\' && quote == '"') {
        at += 2;
      } else if (text_[at] == quote) {
        if (quote == '"' || at + 1 >= text_.size() || text_[at + 1] != quote) return at + 1;
        at += 2;
      } else {
        ++at;
      }
    }
    return at;
  }

  // Whether a key is written "? key".
  bool is_explicit(const Level& level) const {
    std::size_t at = level.key_position;
    while (at > 0 && is_blank(text_[at - 1])) --at;
    return at > 0 && text_[at - 1] == '?';
  }

  void add_scalar(Mark mark, std::string_view value) {
    last_ = mark;
    if (expects_key()) {
      Level& level = levels_.back();
      if (level.node->contains(value)) refuse(fmt::format("Duplicate key {}", value), mark);
      level.key = arena_.copy(value);
      level.has_key = true;
      level.key_position = position_of(mark);
      key_mark_ = mark;
      const std::string_view written =
          text_.substr(level.key_position, end_of_key(level) - level.key_position);
      if (level.block && written.find('\n') != std::string_view::npos && !is_explicit(level)) {
        refuse("could not find expected ':'", mark);
      }
      return;
    }
    Node* node = make_scalar(arena_, arena_.copy(strip(value)), mark);
    check_depth(*node, false);
    put(node);
  }

  void open(Node* node, bool block) {
    last_ = node->mark;
    if (expects_key()) refuse("Keys of a dictionary must be strings", node->mark);
    check_depth(*node, node->is_list() && block);
    put(node);
    levels_.push_back({node, block, false, {}, 0});
  }

  // yaml-cpp would take a line that lies no deeper for the value of the key before.
  void check_depth(const Node& node, bool block_list) const {
    if (levels_.empty() || !levels_.back().block) return;
    const Mark& outer = levels_.back().node->mark;
    const Mark& inner = node.mark;
    if (inner.line <= outer.line || inner.line <= key_mark_.line) return;
    const bool list_below_key = block_list && levels_.back().node->is_map();
    if (inner.column < outer.column || (inner.column == outer.column && !list_below_key))
      refuse("did not find expected key", inner);
  }

  void put(Node* node) {
    if (levels_.empty()) {
      if (!node->is_map()) refuse("The toplevel of a file must be a dictionary", node->mark);
      if (root_ != nullptr)
        refuse("Zero, or more than one document found in YAML stream", node->mark);
      root_ = node;
      return;
    }
    Level& level = levels_.back();
    if (level.node->is_list()) {
      level.node->append(arena_, node);
    } else {
      level.node->set(arena_, level.key, node);
      level.has_key = false;
    }
  }

  // The byte of a place. Marks of yaml-cpp carry bytes and ours don't, so those of keys are found
  // again.
  std::size_t position_of(const Mark& mark) {
    while (scanned_line_ < mark.line) {
      const std::size_t end = text_.find('\n', scanned_);
      if (end == std::string_view::npos) return text_.size();
      scanned_ = end + 1;
      ++scanned_line_;
    }
    if (scanned_line_ > mark.line) return text_.size();
    std::size_t at = scanned_;
    for (std::uint32_t column = 0; column < mark.column && at < text_.size(); ++column) {
      ++at;
      while (at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xc0) == 0x80) ++at;
    }
    return at;
  }

  Arena& arena_;
  const File& file_;
  std::string_view text_;
  bool ascii_ = true;
  Node* root_ = nullptr;
  int documents_ = 0;
  std::vector<Level> levels_;
  Mark last_;
  Mark key_mark_;
  std::size_t scanned_ = 0;
  std::uint32_t scanned_line_ = 0;
};

struct Complaint {
  std::string_view what;
  std::size_t offset = 0;
};

// The first thing that libyaml refuses, or reads otherwise than yaml-cpp, whatever the structure:
// text that isn't UTF-8, control characters, the line breaks of YAML 1.1, directives.
std::optional<Complaint> find_unacceptable(std::string_view text) {
  bool line_start = true;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (line_start && c == '%' && !text.substr(i).starts_with("%YAML ") &&
        !text.substr(i).starts_with("%TAG ")) {
      return Complaint{"found unknown directive name", i};
    }
    line_start = c == '\n';
    if (c < 0x80) {
      if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
        return Complaint{"control characters are not allowed", i};
      ++i;
      continue;
    }
    const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || i + length > text.size()) return Complaint{"not UTF-8", i};
    std::uint32_t code = c & (0xff >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return Complaint{"not UTF-8", i};
      code = (code << 6) | (next & 0x3f);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      return Complaint{"not UTF-8", i};
    if (code == 0x85 || code == 0x2028 || code == 0x2029 || code == 0xfeff) {
      return Complaint{
          "line and paragraph separators and byte order marks must be written as escapes", i};
    }
    if (code < 0xa0 || code == 0xfffe || code == 0xffff)
      return Complaint{"control characters are not allowed", i};
    i += length;
  }
  return std::nullopt;
}

Mark mark_at(const File& file, std::string_view text, std::size_t offset) {
  Mark mark{&file, 0, 0};
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++mark.line;
      mark.column = 0;
    } else {
      ++mark.column;
    }
  }
  return mark;
}

// The tab that indents `line`, if there is one. yaml-cpp takes it for part of a value and stumbles
// later in the line.
std::optional<Mark> find_indenting_tab(const File& file, std::string_view text,
                                       std::uint32_t line) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < line; ++i) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return std::nullopt;
    ++at;
  }
  Mark mark{&file, line, 0};
  for (; at < text.size() && is_blank(text[at]); ++at, ++mark.column) {
    if (text[at] == '\t') return mark;
  }
  return std::nullopt;
}

tl::unexpected<Error> malformed(std::string_view what, const Mark& mark) {
  return fail("load", "invalid-yaml", fmt::format("Malformed YAML: {}", what), provenance(mark));
}

}  // namespace

Result<Node*> parse_yaml(Arena& arena, const File& file, std::string_view text) {
  return parse_yaml_in_place(arena, file, arena.copy(text));
}

Result<Node*> parse_yaml_in_place(Arena& arena, const File& file, std::string_view text) {
  if (Node* simple = text.size() <= kLargestFile ? parse_simple_yaml(arena, file, text) : nullptr)
    return simple;
  return parse_full_yaml(arena, file, text);
}

Result<Node*> parse_full_yaml(Arena& arena, const File& file, std::string_view text) {
  if (text.size() > kLargestFile) {
    return fail("load", "invalid-yaml", fmt::format("File is larger than {} bytes", kLargestFile),
                {file.display, 0, 0});
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (const auto complaint = find_unacceptable(text))
    return malformed(complaint->what, mark_at(file, text, complaint->offset));
  TreeBuilder builder(arena, file, text);
  try {
    const std::string hidden = hide_question_marks(text);
    MemoryBuffer buffer(hidden);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Malformed& error) {
    return malformed(error.message, error.mark);
  } catch (const YAML::Exception& error) {
    const YAML::Mark& mark = error.mark;
    if (mark.is_null()) return malformed(error.msg, builder.last_mark());
    if (const auto tab = find_indenting_tab(file, text, static_cast<std::uint32_t>(mark.line))) {
      return malformed("tabs can't indent", *tab);
    }
    if (error.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR)
      return malformed(kNoAnchors, builder.place(mark));
    return malformed(error.msg, builder.place(mark));
  } catch (const std::exception& error) {
    return malformed(error.what(), builder.last_mark());
  }
  if (builder.unfinished())
    return malformed("end of file in a quoted scalar", mark_at(file, text, text.size()));
  if (builder.root() == nullptr) return make_map(arena, Mark{&file, 0, 0});
  return builder.root();
}

}  // namespace sluice::yaml
