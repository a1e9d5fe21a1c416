#include "loader/python/python_text.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"

namespace sluice::loader {

namespace {

// The version of BuildStream whose plugins are taken, as BST_MIN_VERSION counts.
constexpr int kMajor = 2;
constexpr int kMinor = 8;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_name(std::string_view text) {
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), is_word);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trim(text.substr(0, comma));
    if (!part.empty()) parts.emplace_back(part);
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  std::vector<PythonLine> read() {
    bool fresh = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (fresh && (c == ' ' || c == '\t')) {
        line_.indent = c == ' ' ? line_.indent + 1 : (line_.indent / 8 + 1) * 8;
        ++at_;
        continue;
      }
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == '\n') {
        ++at_;
        if (depth_ == 0) {
          end_line();
          fresh = true;
          continue;
        }
        blank();
      } else if (c == '\\' && at_ + 1 < text_.size() &&
                 (text_[at_ + 1] == '\n' || text_[at_ + 1] == '\r')) {
        at_ += text_[at_ + 1] == '\r' ? 3 : 2;
        blank();
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
        ++at_;
        blank();
      } else if (c == '\'' || c == '"') {
        if (!string(c)) return {};
      } else {
        if (c == '(' || c == '[' || c == '{') ++depth_;
        if ((c == ')' || c == ']' || c == '}') && --depth_ < 0) return {};
        line_.text += c;
        ++at_;
      }
      fresh = false;
    }
    if (depth_ != 0) return {};
    end_line();
    return std::move(lines_);
  }

 private:
  void blank() {
    if (!line_.text.empty() && line_.text.back() != ' ') line_.text += ' ';
  }

  void end_line() {
    while (!line_.text.empty() && line_.text.back() == ' ') line_.text.pop_back();
    if (!line_.text.empty()) lines_.push_back(std::move(line_));
    line_ = {};
  }

  bool string(char quote) {
    const std::string triple(3, quote);
    const std::string_view rest = text_.substr(at_);
    const std::string_view end =
        rest.starts_with(triple) ? std::string_view(triple) : std::string_view(triple).substr(0, 1);
    std::size_t from = end.size();
    while (true) {
      if (from >= rest.size()) return false;
      if (rest[from] == '\\') {
        from += 2;
      } else if (rest.substr(from).starts_with(end)) {
        from += end.size();
        break;
      } else if (end.size() == 1 && rest[from] == '\n') {
        return false;
      } else {
        ++from;
      }
    }
    line_.text += rest.substr(0, from);
    at_ += from;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  PythonLine line_;
  std::vector<PythonLine> lines_;
};

// The place of `wanted` in a statement, outside of strings and brackets; npos when it isn't there.
std::size_t find_outside(std::string_view text, char wanted, std::size_t from = 0) {
  int depth = 0;
  for (std::size_t at = from; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const std::string triple(3, c);
      const std::string_view end = text.substr(at).starts_with(triple)
                                       ? std::string_view(triple)
                                       : std::string_view(triple).substr(0, 1);
      for (at += end.size(); at < text.size() && !text.substr(at).starts_with(end); ++at)
        at += text[at] == '\\' ? 1 : 0;
      at += end.size() - 1;
    } else if (depth == 0 && c == wanted) {
      return at;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    }
  }
  return std::string_view::npos;
}

// The lines with one statement in each: bodies of classes and of setup() that stand beside their
// heads, and what semicolons part, get lines of their own.
std::vector<PythonLine> one_statement_each(const std::vector<PythonLine>& lines) {
  std::vector<PythonLine> out;
  for (const PythonLine& line : lines) {
    std::string_view rest = line.text;
    int indent = line.indent;
    if (rest.starts_with("class ") || rest.starts_with("def setup(")) {
      const std::size_t colon = find_outside(rest, ':');
      if (colon != std::string_view::npos && colon + 1 < rest.size()) {
        out.push_back({indent, std::string(rest.substr(0, colon + 1))});
        rest = trim(rest.substr(colon + 1));
        ++indent;
      }
    }
    if (rest.starts_with("def ")) {
      out.push_back({indent, std::string(rest)});
      continue;
    }
    while (!rest.empty()) {
      const std::size_t end = find_outside(rest, ';');
      const std::string_view one = trim(rest.substr(0, end));
      if (!one.empty()) out.push_back({indent, std::string(one)});
      rest = end == std::string_view::npos ? std::string_view() : trim(rest.substr(end + 1));
    }
  }
  return out;
}

// Whether an expression is one string literal, as far as that is certain.
bool is_string_literal(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && at < 2 &&
         std::string_view("rRbBuU").find(text[at]) != std::string_view::npos)
    ++at;
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return false;
  const char quote = text[at];
  if (text.substr(at).starts_with(std::string(3, quote))) {
    return text.size() >= at + 6 && text.find(std::string(3, quote), at + 3) == text.size() - 3;
  }
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1 == text.size();
    }
  }
  return false;
}

bool is_number_literal(std::string_view text) {
  if (text.starts_with("-")) text.remove_prefix(1);
  return !text.empty() && text[0] >= '0' && text[0] <= '9' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_word(c) || c == '.'; });
}

bool is_literal(std::string_view text) {
  if (text == "None" || text == "True" || text == "False") return true;
  if (is_number_literal(text) || is_string_literal(text)) return true;
  const auto bracketed = [&](char open, char close) {
    return text.size() >= 2 && text.front() == open && text.back() == close;
  };
  return (bracketed('{', '}') || bracketed('[', ']')) && text.find("} ") == std::string_view::npos;
}

constexpr std::string_view kElements[] = {"Element", "BuildElement", "ScriptElement"};
constexpr std::string_view kSources[] = {"Source", "DownloadableFileSource"};
constexpr std::string_view kMirrors[] = {"SourceMirror"};

std::string_view family(std::string_view base) {
  const auto in = [&](auto& names) {
    return std::find(std::begin(names), std::end(names), base) != std::end(names);
  };
  if (in(kElements)) return "element";
  if (in(kSources)) return "source";
  if (in(kMirrors)) return "source-mirror";
  return {};
}

struct FoundClass {
  std::vector<std::string> bases;
  std::map<std::string, std::string, std::less<>> attributes;
  std::map<std::string, std::string, std::less<>> methods;
  bool plain = true;
};

// A plugin's file as a whole.
class PluginFile {
 public:
  explicit PluginFile(const std::vector<PythonLine>& lines) {
    for (std::size_t i = 0; i < lines.size();) {
      std::size_t end = i + 1;
      while (end < lines.size() && lines[end].indent > lines[i].indent) ++end;
      statement(lines, i, end);
      i = end;
    }
  }

  std::map<std::string, FoundClass, std::less<>> classes;
  // Names that are imported from buildstream, and "buildstream.NAME" for all of them where the
  // package itself is.
  std::set<std::string, std::less<>> imported;
  bool setup_seen = false;
  bool setup_maybe = false;  // something may define it in another way
  bool setup_function = false;
  std::string setup_value;    // what `setup = ` says
  std::string setup_returns;  // the expression, when returning it is all that it does
  bool plain = true;          // nothing but imports, docstrings, classes and setup

 private:
  void statement(const std::vector<PythonLine>& lines, std::size_t i, std::size_t end) {
    const std::string_view text = lines[i].text;
    if (text.starts_with("class ") && end > i) {
      read_class(lines, i, end);
    } else if (text.starts_with("def setup(")) {
      setup_seen = setup_function = true;
      std::size_t body = i + 1;
      while (body < end && is_string_literal(lines[body].text)) ++body;
      if (body + 1 == end && lines[body].text.starts_with("return "))
        setup_returns = lines[body].text.substr(7);
      if (body == end ||
          (body + 1 == end && (lines[body].text == "pass" || lines[body].text == "return")))
        setup_returns = "None";
      if (setup_returns.empty()) plain = false;
    } else if (text.starts_with("setup =") || text.starts_with("setup=")) {
      setup_seen = true;
      plain = false;
      setup_value = trim(text.substr(text.find('=') + 1));
    } else if (text.starts_with("from buildstream import ")) {
      std::string names(text.substr(23));
      names.erase(
          std::remove_if(names.begin(), names.end(), [](char c) { return c == '(' || c == ')'; }),
          names.end());
      for (const std::string& name : split(names)) {
        imported.insert(name);
        if (!is_name(name)) plain = false;
      }
    } else if (text == "import buildstream") {
      for (const auto name : kElements) imported.insert(fmt::format("buildstream.{}", name));
      for (const auto name : kSources) imported.insert(fmt::format("buildstream.{}", name));
      for (const auto name : kMirrors) imported.insert(fmt::format("buildstream.{}", name));
    } else if (!is_string_literal(text)) {
      // Imports of other things do no harm by themselves, but say that more is meant.
      plain = false;
      if (text.find("setup") != std::string_view::npos || text.find('*') != std::string_view::npos)
        setup_maybe = true;
      for (std::size_t j = i + 1; j < end; ++j) {
        if (lines[j].text.find("setup") != std::string::npos) setup_maybe = true;
      }
    }
  }

  void read_class(const std::vector<PythonLine>& lines, std::size_t i, std::size_t end) {
    std::string_view head = std::string_view(lines[i].text).substr(6);
    if (!head.ends_with(":")) {
      plain = false;
      return;
    }
    head.remove_suffix(1);
    FoundClass found;
    std::string name(trim(head.substr(0, head.find('('))));
    if (const std::size_t open = head.find('('); open != std::string_view::npos) {
      const std::size_t close = head.rfind(')');
      if (close == std::string_view::npos || close < open) return;
      found.bases = split(head.substr(open + 1, close - open - 1));
    }
    for (std::size_t at = i + 1; at < end;) {
      std::size_t next = at + 1;
      while (next < end && lines[next].indent > lines[at].indent) ++next;
      member(lines, at, next, found);
      at = next;
    }
    classes[name] = std::move(found);
  }

  static void member(const std::vector<PythonLine>& lines, std::size_t i, std::size_t end,
                     FoundClass& found) {
    const std::string_view text = lines[i].text;
    if (text.starts_with("def ")) {
      std::string body;
      for (std::size_t at = i; at < end; ++at) {
        body += fmt::format("{} {}\n", lines[at].indent - lines[i].indent, lines[at].text);
      }
      found.methods[std::string(text.substr(4, text.find('(') - 4))] = std::move(body);
      found.plain = false;
      return;
    }
    if (text == "pass" || is_string_literal(text)) return;
    const std::size_t equals = text.find('=');
    const std::string_view name = trim(text.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : trim(text.substr(equals + 1));
    if (end == i + 1 && is_name(name) && is_literal(value)) {
      found.attributes[std::string(name)] = value;
      static constexpr std::string_view kKnown[] = {
          "BST_MIN_VERSION", "BST_ARTIFACT_VERSION", "BST_STRICT_REBUILD", "BST_FORBID_RDEPENDS",
          "BST_FORBID_BDEPENDS", "BST_FORBID_SOURCES", "BST_RUN_COMMANDS",
          "BST_ELEMENT_HAS_ARTIFACT", "BST_PLUGIN_DEPRECATED", "BST_PLUGIN_DEPRECATION_MESSAGE",
          // These attributes are of BuildStream's past, without effect now.
          "BST_VIRTUAL_DIRECTORY", "BST_NEVER_CACHE_BUILDTREES"};
      if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
        found.plain = false;
    } else {
      found.plain = false;
    }
  }
};

// The class of that name, with what it inherits from the chain of classes in the file.
PluginClass collect(const PluginFile& file, const std::string& name) {
  PluginClass result;
  result.name = name;
  std::string at = name;
  bool plain = file.plain;
  std::size_t followed = 0;
  for (int depth = 0; depth < 16; ++depth) {
    const auto found = file.classes.find(at);
    if (found == file.classes.end()) break;
    ++followed;
    for (const auto& entry : found->second.attributes) result.attributes.insert(entry);
    for (const auto& entry : found->second.methods) result.methods.insert(entry);
    plain = plain && found->second.plain;
    if (found->second.bases.size() != 1) break;
    const std::string& base = found->second.bases.front();
    if (file.imported.contains(base)) {
      const std::string_view bare = base.starts_with("buildstream.")
                                        ? std::string_view(base).substr(12)
                                        : std::string_view(base);
      if (!family(bare).empty()) result.base = bare;
      break;
    }
    at = base;
  }
  result.plain = plain && !result.base.empty() && followed == file.classes.size();
  return result;
}

bool has_no_base(const PluginFile& file, const std::string& name) {
  const auto found = file.classes.find(name);
  return found != file.classes.end() &&
         (found->second.bases.empty() ||
          (found->second.bases.size() == 1 && found->second.bases.front() == "object"));
}

// The number that Python's int() makes of a piece of a version.
std::optional<int> version_part(std::string_view text) {
  text = trim(text);
  if (text.empty() || text.size() > 9) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

Status check_min_version(std::string_view text, const PluginClass& found, std::string_view noun,
                         std::string_view kind) {
  const auto attribute = found.attributes.find("BST_MIN_VERSION");
  if (attribute == found.attributes.end() || attribute->second == "None") {
    const bool said_otherwise = attribute == found.attributes.end() &&
                                text.find("BST_MIN_VERSION") != std::string_view::npos;
    // BuildStream's own class of mirrors says one for all of them.
    if (said_otherwise || found.base.empty() || noun == "source-mirror") return {};
    return fail("plugin", "missing-min-version",
                fmt::format("{} plugin '{}' did not specify BST_MIN_VERSION", noun, kind), {},
                "Are you trying to use a BuildStream 1 plugin with a BuildStream 2 project ?");
  }
  std::optional<int> major;
  std::optional<int> minor;
  const auto version = found.string("BST_MIN_VERSION");
  if (version) {
    const std::size_t dot = version->find('.');
    major = version_part(std::string_view(*version).substr(0, dot));
    if (dot != std::string::npos) {
      const std::string_view rest = std::string_view(*version).substr(dot + 1);
      minor = version_part(rest.substr(0, rest.find('.')));
    }
  }
  if (!major || !minor) {
    return fail("plugin", "malformed-min-version",
                fmt::format("{} plugin '{}' specified malformed BST_MIN_VERSION: {}", noun, kind,
                            version.value_or(attribute->second)),
                {},
                "BST_MIN_VERSION must be specified as 'MAJOR.MINOR' with numeric major and minor "
                "minimum required version numbers");
  }
  if (*major != kMajor) {
    return fail(
        "plugin", "incompatible-major-version",
        fmt::format(
            "{} plugin '{}' requires BuildStream {}, but is being loaded with BuildStream {}", noun,
            kind, *major, kMajor),
        {}, "You will need to find the correct version of this plugin for your project.");
  }
  if (*minor > kMinor) {
    return fail(
        "plugin", "incompatible-minor-version",
        fmt::format(
            "{} plugin '{}' requires BuildStream {}, but is being loaded with BuildStream {}.{}",
            noun, kind, *version, kMajor, kMinor),
        {}, fmt::format("Please upgrade to BuildStream {}", *version));
  }
  return {};
}

}  // namespace

std::vector<PythonLine> python_lines(std::string_view text) { return Lines(text).read(); }

std::string python_code(std::string_view text) {
  std::string code;
  for (const PythonLine& line : python_lines(text)) {
    if (!is_string_literal(line.text)) code += fmt::format("{} {}\n", line.indent, line.text);
  }
  return code;
}

std::vector<std::string> python_imports(std::string_view text) {
  std::vector<std::string> modules;
  const auto word = [](std::string_view name) {
    return std::string(trim(name.substr(0, name.find(" as "))));
  };
  for (const PythonLine& line : one_statement_each(python_lines(text))) {
    const std::string_view statement = line.text;
    if (statement.starts_with("import ")) {
      for (const std::string& name : split(statement.substr(7))) modules.push_back(word(name));
    } else if (const std::size_t import = statement.find(" import ");
               statement.starts_with("from ") && import != std::string_view::npos) {
      const std::string module(trim(statement.substr(5, import - 5)));
      std::string names(statement.substr(import + 8));
      std::erase_if(names, [](char c) { return c == '(' || c == ')'; });
      modules.push_back(module);
      for (const std::string& name : split(names))
        modules.push_back(module + (module.ends_with('.') ? "" : ".") + word(name));
    }
  }
  return modules;
}

bool PluginClass::is(std::string_view attribute, std::string_view literal) const {
  const auto found = attributes.find(attribute);
  return found != attributes.end() && found->second == literal;
}

std::optional<std::string> PluginClass::string(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return std::nullopt;
  const std::string_view text = found->second;
  if (!is_string_literal(text) || text.find('\\') != std::string_view::npos) return std::nullopt;
  if (text[0] != '"' && text[0] != '\'') return std::nullopt;
  const std::size_t quotes = text.size() >= 6 && text.starts_with(std::string(3, text[0])) ? 3 : 1;
  return std::string(text.substr(quotes, text.size() - 2 * quotes));
}

std::optional<int> PluginClass::number(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? std::nullopt : version_part(found->second);
}

std::string PluginClass::fingerprint(std::string_view method) const {
  const auto found = methods.find(method);
  return found == methods.end() ? std::string() : sha256_hex(found->second);
}

Result<PluginClass> read_plugin_class(std::string_view text, std::string_view noun,
                                      std::string_view kind) {
  const std::vector<PythonLine> lines = python_lines(text);
  if (lines.empty()) {
    // A text without anything to see in it, or in which nothing is understood.
    const bool blank = std::all_of(text.begin(), text.end(), [](char c) {
      return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    });
    if (!blank && text.find("setup") != std::string_view::npos) return PluginClass{};
  }
  const PluginFile file(one_statement_each(lines));
  if (!file.setup_seen) {
    if (file.setup_maybe) return PluginClass{};
    return fail("plugin", "missing-setup-function",
                fmt::format("{} plugin '{}' did not provide a setup() function", noun, kind));
  }
  if (!file.setup_function) {
    if (!is_literal(file.setup_value)) return PluginClass{};
    return fail("plugin", "setup-is-not-function",
                fmt::format("setup symbol in {} plugin '{}' is not a function", noun, kind));
  }
  if (is_literal(file.setup_returns)) {
    return fail(
        "plugin", "setup-returns-not-type",
        fmt::format(
            "{} plugin '{}' returned something that is not a type (expected subclass of {})", noun,
            kind, noun));
  }
  PluginClass found = collect(file, file.setup_returns);
  const bool wrong_family = !found.base.empty() && family(found.base) != noun;
  if (wrong_family || has_no_base(file, file.setup_returns)) {
    return fail("plugin", "setup-returns-bad-type",
                fmt::format("{} plugin '{}' returned type '{}', which is not a subclass of {}",
                            noun, kind, found.name,
                            noun == "element"  ? "Element"
                            : noun == "source" ? "Source"
                                               : "SourceMirror"));
  }
  CHECK(check_min_version(text, found, noun, kind));
  return found;
}

}  // namespace sluice::loader
