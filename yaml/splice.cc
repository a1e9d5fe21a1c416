#include "yaml/splice.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "yaml/parse.h"

namespace sluice::yaml {

namespace {

tl::unexpected<Error> beyond(std::string_view what) {
  return fail("load", "cannot-splice", std::string(what));
}

bool is_key(const std::string& step) { return !step.empty() && step.front() == 'k'; }
std::string_view key_of(const std::string& step) { return std::string_view(step).substr(1); }

Result<std::size_t> index_of(const std::string& step) {
  std::size_t index = 0;
  const auto end = step.data() + step.size();
  if (step.size() < 2 || step.front() != 'i' ||
      std::from_chars(step.data() + 1, end, index).ptr != end || index > 1'000'000) {
    return beyond(fmt::format("'{}' is no step of a path", step));
  }
  return index;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Control characters, ends of lines among them, are only told by escapes.
std::string quoted(std::string_view value, char mark) {
  if (std::any_of(value.begin(), value.end(), is_control)) mark = '"';
  std::string out(1, mark);
  for (const char c : value) {
    if (is_control(c)) {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : fmt::format("\\x{:02X}", c);
      continue;
    }
    if (c == mark || (mark == '"' && c == '\\')) out += mark == '"' ? '\\' : mark;
    out += c;
  }
  return out + mark;
}

// The scalar as it is where nothing in it means anything to YAML, else in quotation marks.
std::string scalar_text(std::string_view value) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._/+@%-:").find(c) != std::string_view::npos;
  };
  const auto starts = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  // Words and numbers that other readers take for something else than a string.
  const auto special = [](std::string_view word) {
    std::string lower(word);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (lower == "null" || lower == "true" || lower == "false" || lower == "yes" || lower == "no" ||
        lower == "on" || lower == "off" || lower == "y" || lower == "n")
      return true;
    // "1.2.3" is no number of any sort.
    return lower.find_first_not_of("0123456789.:e+-_xo") == std::string::npos &&
           std::count(lower.begin(), lower.end(), '.') < 2;
  };
  // A colon means something before a space, and at the end.
  if (!value.empty() && starts(value.front()) && std::all_of(value.begin(), value.end(), safe) &&
      value.back() != ':' && !special(value))
    return std::string(value);
  return quoted(value, '\'');
}

// The item of a list or map. Truth values stand without quotation marks there, since others than
// BuildStream read them, too.
std::string item_text(const std::string& value) {
  const bool truth = value == "true" || value == "false" || value == "True" || value == "False";
  return truth ? value : scalar_text(value);
}

std::string flow_text(const model::Node& value) {
  if (!value.is_list() && !value.is_map()) return item_text(value.scalar);
  std::string out = value.is_list() ? "[" : "{";
  for (const model::Node& item : value.list) out += (out.size() > 1 ? ", " : "") + flow_text(item);
  for (const auto& [key, item] : value.map)
    out += (out.size() > 1 ? ", " : "") + scalar_text(key) + ": " + flow_text(item);
  return out + (value.is_list() ? "]" : "}");
}

// What stands behind "key:" of a map whose keys are at `indent`, with the end of the line.
std::string block_text(const model::Node& value, std::size_t indent);

// The lines of a map whose keys are at `indent`, but for the margin of the first.
std::string keys_text(const model::Node& map, std::size_t indent) {
  std::string out;
  for (const auto& [key, item] : map.map)
    out += (out.empty() ? "" : std::string(indent, ' ')) + scalar_text(key) + ":" +
           block_text(item, indent);
  return out;
}

// A text as a block of lines.
std::string literal_text(std::string_view value, std::size_t indent) {
  std::string out = " |-\n";
  for (std::size_t at = 0; at <= value.size();) {
    const std::size_t end = std::min(value.find('\n', at), value.size());
    if (end > at) out += std::string(indent + 2, ' ');
    out += value.substr(at, end - at);
    out += '\n';
    at = end + 1;
  }
  return out;
}

std::string block_text(const model::Node& value, std::size_t indent) {
  if (value.is_list() && !value.list.empty()) {
    std::string out = "\n";
    for (const model::Node& item : value.list) {
      const bool nested = item.is_map() && !item.map.empty();
      out += std::string(indent, ' ') + "- " +
             (nested ? keys_text(item, indent + 2) : flow_text(item) + "\n");
    }
    return out;
  }
  if (value.is_map() && !value.map.empty())
    return "\n" + std::string(indent + 2, ' ') + keys_text(value, indent + 2);
  return " " + flow_text(value) + "\n";
}

class Splice {
 public:
  Splice(std::string_view text, const TreePath& path, const model::Node& value)
      : text_(text), path_(path), value_(value) {
    for (std::size_t at = 0; at <= text.size();) {
      starts_.push_back(at);
      const std::size_t end = text.find('\n', at);
      if (end == std::string_view::npos) break;
      at = end + 1;
    }
  }

  Result<std::string> run(const Node& root) {
    const Node* at = &root;
    std::size_t depth = 0;
    for (; depth < path_.size(); ++depth) {
      const Node* next = nullptr;
      if (is_key(path_[depth])) {
        if (!at->is_map()) break;
        next = at->find(key_of(path_[depth]));
      } else {
        const std::size_t index = TRY(index_of(path_[depth]));
        if (!at->is_list()) break;
        next = index < at->items().size() ? at->items()[index] : nullptr;
      }
      if (next == nullptr) break;
      at = next;
    }
    if (depth == path_.size())
      return value_.is_scalar() && at->is_scalar() ? replace(root, *at) : replace_lines(root, *at);
    if (value_.kind == model::Node::Kind::kNull) return std::string(text_);
    if (at == &root && root.entries().empty() && !blank_but_comments())
      return open_out(TRY(offset(root.mark)), '}', rendered(0, 0));
    if (at == &root && root.entries().empty())
      return in_place(text_.size(), ensure_line(text_.size()) + rendered(0, 0));
    if (at->is_map() && is_key(path_[depth])) return add_key(*at, depth);
    if (at->is_list() && !is_key(path_[depth])) return add_item(*at, depth);
    return beyond("something else stands in the place of the reference");
  }

 private:
  std::size_t lines() const { return starts_.size(); }
  std::string_view line(std::size_t i) const {
    const std::size_t end = i + 1 < starts_.size() ? starts_[i + 1] - 1 : text_.size();
    return text_.substr(starts_[i], end - starts_[i]);
  }
  static std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(' '), line.size());
  }

  // The byte of a place, whose column counts characters.
  Result<std::size_t> offset(const Mark& mark) const {
    if (mark.line >= lines()) return beyond("a place is outside of the file");
    const std::string_view whole = line(mark.line);
    std::size_t at = 0;
    for (std::uint32_t column = 0; column < mark.column; ++column) {
      if (at >= whole.size()) return beyond("a place is outside of its line");
      ++at;
      while (at < whole.size() && (static_cast<unsigned char>(whole[at]) & 0xc0) == 0x80) ++at;
    }
    return starts_[mark.line] + at;
  }

  std::string in_place(std::size_t from, std::string_view with, std::size_t length = 0) const {
    std::string out(text_.substr(0, from));
    out += with;
    out += text_.substr(from + length);
    return out;
  }

  std::string ensure_line(std::size_t at) const {
    return at == 0 || text_[at - 1] == '\n' ? "" : "\n";
  }

  // The lines of a key in block style with its value, written anew or, for kNull, taken out.
  // `literal`: the value as a block of lines, as it was.
  Result<std::string> replace_lines(const Node& root, const Node& value,
                                    bool literal = false) const {
    const Node* map = &root;
    for (std::size_t i = 0; i + 1 < path_.size(); ++i) {
      map = is_key(path_[i]) ? map->find(key_of(path_[i])) : map->items()[TRY(index_of(path_[i]))];
    }
    if (!is_key(path_.back()) || !map->is_map()) return beyond("it is an item of a list");
    if (text_.substr(TRY(offset(map->mark)), 1) == "{")
      return beyond("a map in braces stands in the way");
    const std::size_t column = map->mark.column;
    const auto starts_key = [&](std::size_t i) {
      const std::string_view l = line(i);
      if (l.size() <= column || (i != map->mark.line && indent_of(l) != column)) return false;
      const std::string_view rest = l.substr(column);
      const std::string_view key = key_of(path_.back());
      const std::size_t quote = rest.starts_with('"') || rest.starts_with('\'') ? 1 : 0;
      const std::string_view behind =
          rest.substr(std::min(rest.size(), quote + key.size() + quote));
      return rest.substr(quote).starts_with(key) &&
             behind.substr(std::min(behind.find_first_not_of(' '), behind.size())).starts_with(':');
    };
    std::size_t first = value.mark.line;
    while (first > map->mark.line && !starts_key(first)) --first;
    if (!starts_key(first)) return beyond("the line of its key isn't found");
    std::size_t last = first;
    for (std::size_t i = first + 1; i < lines(); ++i) {
      const std::string_view l = line(i);
      const std::size_t indent = indent_of(l);
      const std::string_view rest = l.substr(indent);
      if (rest.empty() || rest == "\r" || rest.front() == '#') continue;
      const bool item =
          value.is_list() && indent == column && (rest.starts_with("- ") || rest == "-");
      if (indent <= column && !item) break;
      last = i;
    }
    const std::size_t begin = starts_[first];
    const std::size_t end = last + 1 < lines() ? starts_[last + 1] : text_.size();
    const std::string_view margin = line(first).substr(0, column);
    if (value_.kind == model::Node::Kind::kNull) {
      if (margin.find_first_not_of(' ') != std::string_view::npos)
        return beyond("it is the first key of an item");
      return in_place(begin, "", end - begin);
    }
    return in_place(
        begin,
        fmt::format("{}{}:{}", margin, scalar_text(key_of(path_.back())),
                    literal ? literal_text(value_.scalar, column) : block_text(value_, column)),
        end - begin);
  }

  Result<std::string> replace(const Node& root, const Node& node) const {
    const std::size_t from = TRY(offset(node.mark));
    const std::string_view rest = text_.substr(from);
    if (rest.empty() || rest.front() == '\n' || rest.front() == '#') {
      const bool space = from > 0 && text_[from - 1] == ' ';
      return in_place(from, (space ? "" : " ") + scalar_text(value_.scalar) +
                                (rest.empty() || rest.front() == '\n' ? "" : " "));
    }
    std::size_t length = 0;
    std::string with = scalar_text(value_.scalar);
    if (rest.front() == '"' || rest.front() == '\'') {
      // A scalar in quotation marks keeps them, as with BuildStream.
      with = quoted(value_.scalar, rest.front());
      const char quote = rest.front();
      for (length = 1; length < rest.size(); ++length) {
        if (quote == '"' && rest[length] == '\\') {
          ++length;
        } else if (rest[length] == quote) {
          if (quote == '\'' && length + 1 < rest.size() && rest[length + 1] == quote) {
            ++length;
            continue;
          }
          break;
        }
      }
      length = std::min(length + 1, rest.size());
    } else if (rest.front() == '|' || rest.front() == '>') {
      return replace_lines(root, node,
                           rest.front() == '|' && !value_.scalar.empty() &&
                               !value_.scalar.starts_with(' ') &&
                               !value_.scalar.starts_with('\n') && !value_.scalar.ends_with('\n'));
    } else {
      while (length < rest.size() && rest[length] != '\n') {
        const char c = rest[length];
        if (c == '#' && length > 0 && rest[length - 1] == ' ') break;
        if (c == ':' && (length + 1 == rest.size() || rest[length + 1] == ' ')) break;
        if (std::string_view(",]}").find(c) != std::string_view::npos && in_flow(from)) break;
        ++length;
      }
      while (length > 0 &&
             (rest[length - 1] == ' ' || rest[length - 1] == '\r' || rest[length - 1] == '\t'))
        --length;
    }
    return in_place(from, with, length);
  }

  // Whether the line has an open bracket before `at`. Brackets of earlier lines aren't looked for:
  // the comparison at the end finds them out.
  bool in_flow(std::size_t at) const {
    const std::size_t start =
        text_.rfind('\n', at) == std::string_view::npos ? 0 : text_.rfind('\n', at) + 1;
    const std::string_view before = text_.substr(start, at - start);
    return before.find_first_of("{[") != std::string_view::npos;
  }

  // The first byte behind the lines that belong to a map or list in block style which begins at
  // (first, column).
  std::size_t end_of_block(std::size_t first, std::size_t column, bool list) const {
    std::size_t last = first;
    for (std::size_t i = first + 1; i < lines(); ++i) {
      const std::string_view l = line(i);
      const std::size_t indent = indent_of(l);
      const std::string_view rest = l.substr(indent);
      if (rest.empty() || rest == "\r") continue;
      if (rest.front() == '#') {
        if (indent > column) last = i;
        continue;
      }
      if (indent < column) break;
      if (column == 0 && indent == 0 && (rest.starts_with("---") || rest.starts_with("..."))) break;
      const bool dash = rest.starts_with("- ") || rest == "-";
      if (list && indent == column && !dash) break;
      last = i;
    }
    return last + 1 < lines() ? starts_[last + 1] : text_.size();
  }

  Result<std::string> add_key(const Node& map, std::size_t depth) const {
    const std::size_t from = TRY(offset(map.mark));
    if (from < text_.size() && text_[from] == '{')
      return add_to_flow(from, map.entries().empty(), depth);
    const std::size_t end = end_of_block(map.mark.line, map.mark.column, false);
    return in_place(end, ensure_line(end) + rendered(depth, map.mark.column));
  }

  std::size_t line_of(std::size_t at) const {
    return static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), at) -
                                    starts_.begin()) -
           1;
  }

  bool blank_but_comments() const {
    for (std::size_t i = 0; i < lines(); ++i) {
      const std::string_view rest = line(i).substr(indent_of(line(i)));
      if (!rest.empty() && rest.front() != '#' && rest.front() != '\r' && !rest.starts_with("---"))
        return false;
    }
    return true;
  }

  // Empty brackets at `from` become lines of their own: "projects: {}", as BuildStream itself
  // writes where there is nothing yet.
  Result<std::string> open_out(std::size_t from, char closing, const std::string& with) const {
    const std::size_t close = text_.find(closing, from);
    const std::size_t start = starts_[line_of(from)];
    const std::size_t line_end =
        close == std::string_view::npos ? close : std::min(text_.find('\n', close), text_.size());
    if (close == std::string_view::npos ||
        text_.substr(close + 1, line_end - close - 1).find_first_not_of(" \r") !=
            std::string_view::npos) {
      return beyond("brackets stand in the way");
    }
    std::size_t key_end = from;
    while (key_end > start && text_[key_end - 1] == ' ') --key_end;
    return in_place(key_end, (key_end > start ? "\n" : "") + with,
                    std::min(line_end + 1, text_.size()) - key_end);
  }

  Result<std::string> add_to_flow(std::size_t from, bool empty, std::size_t depth) const {
    if (depth + 1 != path_.size()) {
      if (!empty) return beyond("a map in braces stands in the way");
      return open_out(from, '}', rendered(depth, indent_of(line(line_of(from))) + 2));
    }
    std::size_t depth_of_brackets = 0;
    char quote = 0;
    for (std::size_t i = from; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (quote == '"' && c == '\\') ++i;
        if (c == quote) quote = 0;
        continue;
      }
      if (c == '"' || c == '\'') quote = c;
      if (c == '{' || c == '[') ++depth_of_brackets;
      if ((c == '}' || c == ']') && --depth_of_brackets == 0) {
        std::size_t at = i;
        while (at > from + 1 && (text_[at - 1] == ' ' || text_[at - 1] == '\n')) --at;
        return in_place(
            at, fmt::format("{}{}: {}", empty ? "" : ", ", scalar_text(key_of(path_[depth])),
                            value_.is_scalar() ? scalar_text(value_.scalar) : flow_text(value_)));
      }
    }
    return beyond("a map in braces doesn't end");
  }

  Result<std::string> add_item(const Node& list, std::size_t depth) const {
    const std::size_t from = TRY(offset(list.mark));
    if (from < text_.size() && text_[from] == '[' && list.items().empty()) {
      return open_out(
          from, ']', items(depth, indent_of(line(list.mark.line)), 0, TRY(index_of(path_[depth]))));
    }
    if (from >= text_.size() || text_[from] != '-')
      return beyond("a list in brackets stands in the way");
    const std::size_t end = end_of_block(list.mark.line, list.mark.column, true);
    return in_place(end, ensure_line(end) + items(depth, list.mark.column, list.items().size(),
                                                  TRY(index_of(path_[depth]))));
  }

  // The rest of the path, and the value, as lines.
  std::string rendered(std::size_t depth, std::size_t indent) const {
    return std::string(indent, ' ') + entry(depth, indent);
  }

  std::string entry(std::size_t depth, std::size_t indent) const {
    std::string out = scalar_text(key_of(path_[depth])) + ":";
    if (depth + 1 == path_.size())
      return out + (value_.is_scalar() ? " " + scalar_text(value_.scalar) + "\n"
                                       : block_text(value_, indent));
    out += "\n";
    if (is_key(path_[depth + 1])) return out + rendered(depth + 1, indent + 2);
    return out + items(depth + 1, indent, 0, index_of(path_[depth + 1]).value_or(0));
  }

  std::string items(std::size_t depth, std::size_t indent, std::size_t present,
                    std::size_t index) const {
    std::string out;
    const std::string margin(indent, ' ');
    for (; present < index; ++present) out += margin + "- {}\n";
    if (depth + 1 == path_.size())
      return out + margin + "- " +
             (value_.is_scalar() ? scalar_text(value_.scalar) : flow_text(value_)) + "\n";
    return out + margin + "- " + entry(depth + 1, indent + 2);
  }

  std::string_view text_;
  const TreePath& path_;
  const model::Node& value_;
  std::vector<std::size_t> starts_;
};

// Sets the value at `path`, from the step `depth` on, in what the text says.
Status set(model::Node& node, const TreePath& path, std::size_t depth, const model::Node& value) {
  if (depth == path.size()) {
    node = value;
    return {};
  }
  const bool last = depth + 1 == path.size();
  if (is_key(path[depth])) {
    if (!node.is_map()) node = model::Node::make_map();
    const std::string key(key_of(path[depth]));
    if (last && value.kind == model::Node::Kind::kNull) {
      std::erase_if(node.map, [&](const auto& entry) { return entry.first == key; });
      return {};
    }
    if (node.find(key) == nullptr) node.set(key, model::Node::make_map());
    return set(*node.find(key), path, depth + 1, value);
  }
  const std::size_t index = TRY(index_of(path[depth]));
  if (!node.is_list()) node = model::Node::make_list();
  while (node.list.size() <= index) node.list.push_back(model::Node::make_map());
  return set(node.list[index], path, depth + 1, value);
}

// The node at `path`; nullptr when there is none.
Result<const Node*> find(const Node& root, const TreePath& path) {
  const Node* at = &root;
  for (const std::string& step : path) {
    if (is_key(step)) {
      at = at->is_map() ? at->find(key_of(step)) : nullptr;
    } else {
      const std::size_t index = TRY(index_of(step));
      at = at->is_list() && index < at->items().size() ? at->items()[index] : nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

bool same_shape(const Node& old, const model::Node& now) {
  if (old.is_scalar() || now.is_scalar()) return old.is_scalar() && now.is_scalar();
  if (old.is_list() && now.is_list()) {
    if (old.items().size() != now.list.size()) return false;
    for (std::size_t i = 0; i < now.list.size(); ++i) {
      if (!same_shape(*old.items()[i], now.list[i])) return false;
    }
    return !now.list.empty();
  }
  if (!old.is_map() || !now.is_map() || old.entries().size() != now.map.size()) return false;
  for (const auto& [key, value] : now.map) {
    const Node* there = old.find(key);
    if (there == nullptr || !same_shape(*there, value)) return false;
  }
  return !now.map.empty();
}

// The texts below `path` in which `old` and `now` differ.
void differences(const Node& old, const model::Node& now, TreePath& path,
                 std::vector<std::pair<TreePath, const model::Node*>>& out) {
  if (old.is_scalar()) {
    if (old.text != now.scalar) out.emplace_back(path, &now);
    return;
  }
  const auto below = [&](std::string step, const Node& was, const model::Node& is) {
    path.push_back(std::move(step));
    differences(was, is, path, out);
    path.pop_back();
  };
  for (std::size_t i = 0; i < now.list.size(); ++i)
    below(fmt::format("i{}", i), *old.items()[i], now.list[i]);
  for (const auto& [key, value] : now.map) below("k" + key, *old.find(key), value);
}

}  // namespace

Result<model::Node> value_at(std::string_view text, const TreePath& path) {
  Arena arena;
  const File file{"", ""};
  const Node* at = TRY(find(*TRY(parse_yaml(arena, file, text)), path));
  return at == nullptr ? model::Node() : to_model(*at);
}

Result<std::string> splice(std::string_view text, const TreePath& path, const model::Node& value) {
  if (path.empty() || !is_key(path.front())) return beyond("the path begins with no key");
  Arena arena;
  const File file{"", ""};
  const Node* root = TRY(parse_yaml(arena, file, text));
  const Node* old = TRY(find(*root, path));
  if (old != nullptr && !old->is_scalar() && same_shape(*old, value)) {
    std::vector<std::pair<TreePath, const model::Node*>> changes;
    TreePath way = path;
    differences(*old, value, way, changes);
    std::string changed(text);
    for (const auto& [where, what] : changes) changed = TRY(splice(changed, where, *what));
    return changed;
  }
  std::string changed = TRY(Splice(text, path, value).run(*root));
  model::Node wanted = to_model(*root);
  CHECK(set(wanted, path, 0, value));
  Arena again;
  const auto result = parse_yaml(again, file, changed);
  if (!result || to_model(**result) != wanted)
    return beyond("the layout of the file is not understood");
  return changed;
}

}  // namespace sluice::yaml
