#include "cli/query_language.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

using model::ElementIndex;
using Set = std::vector<bool>;

constexpr std::size_t kMostNesting = 200;
constexpr std::size_t kMostSteps = 10'000;

struct Function {
  std::string_view name;
  unsigned sets;          // arguments that are expressions
  unsigned words_before;  // WORD arguments before them
  unsigned words_after;   // ... and behind, all of which may be left out
};

constexpr Function kFunctions[] = {
    {"all", 0, 0, 0},   {"deps", 1, 0, 2},  {"rdeps", 1, 0, 2},
    {"scope", 1, 1, 0}, {"kind", 1, 1, 0},  {"path", 2, 0, 0},
    {"paths", 2, 0, 0}, {"roots", 1, 0, 0}, {"leaves", 1, 0, 0},
};

const Function* find_function(std::string_view name) {
  for (const Function& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

tl::unexpected<Error> invalid(std::size_t column, std::string message) {
  return fail("app", "invalid-query", fmt::format("Column {} of the query: {}", column, message));
}

struct Token {
  enum class Kind { kWord, kQuoted, kOpen, kClose, kComma, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  std::size_t column = 0;
};

std::string_view operator_of(const Token& token) {
  if (token.kind != Token::Kind::kWord) return "";
  if (token.text == "+" || token.text == "union") return "+";
  if (token.text == "-" || token.text == "except") return "-";
  if (token.text == "^" || token.text == "intersect") return "^";
  return "";
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

Result<std::vector<Token>> split(std::string_view text) {
  std::vector<Token> tokens;
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && is_space(text[at])) ++at;
    Token token;
    token.column = at + 1;
    if (at == text.size()) {
      tokens.push_back(token);
      return tokens;
    }
    const char c = text[at];
    if (c == '(' || c == ')' || c == ',') {
      token.kind = c == '('   ? Token::Kind::kOpen
                   : c == ')' ? Token::Kind::kClose
                              : Token::Kind::kComma;
      token.text = c;
      ++at;
    } else if (c == '"' || c == '\'') {
      const auto end = text.find(c, at + 1);
      if (end == std::string_view::npos)
        return invalid(token.column, "the quotation mark is never closed");
      token.kind = Token::Kind::kQuoted;
      token.text = text.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      const std::size_t start = at;
      while (at < text.size() && !is_space(text[at]) && text[at] != '(' && text[at] != ')' &&
             text[at] != ',')
        ++at;
      token.kind = Token::Kind::kWord;
      token.text = text.substr(start, at - start);
    }
    tokens.push_back(std::move(token));
  }
}

// Parses with a stack instead of recursion: what is open, innermost last.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Query> parse() {
    bool term_expected = true;
    levels_.push_back({});
    while (true) {
      const Token& token = tokens_[at_];
      CHECK(term_expected ? term(token, term_expected) : after_term(token, term_expected));
      if (done_) return std::move(query_);
      if (query_.steps.size() > kMostSteps || levels_.size() > kMostNesting)
        return invalid(token.column, "it is too long or too deeply nested");
    }
  }

 private:
  struct Level {
    const Function* function = nullptr;  // null: a parenthesis, or the whole
    std::size_t column = 0;
    unsigned sets = 0;  // arguments that are complete
    std::vector<std::string> words;
    std::string pending;  // the operator whose right side comes
    std::size_t pending_column = 0;
  };

  Status term(const Token& token, bool& term_expected) {
    if (token.kind == Token::Kind::kOpen) {
      levels_.push_back({nullptr, token.column, 0, {}, "", 0});
      ++at_;
      return {};
    }
    if ((token.kind != Token::Kind::kWord && token.kind != Token::Kind::kQuoted) ||
        !operator_of(token).empty()) {
      return invalid(
          token.column,
          token.kind == Token::Kind::kEnd
              ? "an element or a function is missing at the end"
              : fmt::format("an element or a function was expected, not '{}'", token.text));
    }
    if (token.kind == Token::Kind::kWord && tokens_[at_ + 1].kind == Token::Kind::kOpen) {
      const Function* function = find_function(token.text);
      if (function == nullptr)
        return invalid(token.column, fmt::format("there is no function '{}'", token.text));
      levels_.push_back({function, token.column, 0, {}, "", 0});
      at_ += 2;
      return arguments(term_expected);
    }
    if (token.text.empty()) return invalid(token.column, "the name is empty");
    query_.steps.push_back({Query::Step::Kind::kWord, token.text, {}, 0, token.column});
    ++at_;
    operand(term_expected);
    return {};
  }

  // Behind a function's '(' or one of its commas: takes words as long as words are expected.
  Status arguments(bool& term_expected) {
    Level& level = levels_.back();
    const Function& function = *level.function;
    while (true) {
      const bool before = level.words.size() < function.words_before;
      if (!before && level.sets < function.sets) {
        term_expected = true;
        return {};
      }
      const Token& token = tokens_[at_];
      const bool none_left = level.words.size() == function.words_before + function.words_after;
      if (none_left) {
        if (token.kind != Token::Kind::kClose)
          return invalid(token.column, fmt::format("'{}' takes fewer arguments", function.name));
        return close(term_expected);
      }
      if (token.kind != Token::Kind::kWord && token.kind != Token::Kind::kQuoted) {
        return invalid(token.column, fmt::format("an argument of '{}' is missing", function.name));
      }
      level.words.push_back(token.text);
      ++at_;
      if (tokens_[at_].kind == Token::Kind::kComma) {
        ++at_;
      } else if (!before && tokens_[at_].kind == Token::Kind::kClose) {
        return close(term_expected);
      } else {
        return invalid(
            tokens_[at_].column,
            fmt::format("',' or ')' was expected in the arguments of '{}'", function.name));
      }
    }
  }

  Status after_term(const Token& token, bool& term_expected) {
    if (const std::string_view sign = operator_of(token); !sign.empty()) {
      levels_.back().pending = sign;
      levels_.back().pending_column = token.column;
      ++at_;
      term_expected = true;
      return {};
    }
    Level& level = levels_.back();
    switch (token.kind) {
      case Token::Kind::kEnd:
        if (levels_.size() > 1) return invalid(level.column, "its parenthesis is never closed");
        done_ = true;
        return {};
      case Token::Kind::kComma:
        if (level.function == nullptr)
          return invalid(token.column, "a comma stands between the arguments of a function only");
        ++level.sets;
        ++at_;
        return arguments(term_expected);
      case Token::Kind::kClose:
        if (levels_.size() == 1)
          return invalid(token.column, "nothing is open that could be closed");
        if (level.function != nullptr && ++level.sets < level.function->sets) {
          return invalid(token.column,
                         fmt::format("'{}' takes more arguments", level.function->name));
        }
        return close(term_expected);
      default:
        return invalid(token.column, fmt::format("an operator was expected, not '{}'", token.text));
    }
  }

  // Takes the ')' of the innermost level.
  Status close(bool& term_expected) {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    ++at_;
    if (level.function != nullptr) {
      query_.steps.push_back({Query::Step::Kind::kFunction, std::string(level.function->name),
                              std::move(level.words), level.function->sets, level.column});
    }
    operand(term_expected);
    return {};
  }

  // A set is complete: the operator before it can be applied.
  void operand(bool& term_expected) {
    Level& level = levels_.back();
    if (!level.pending.empty())
      query_.steps.push_back(
          {Query::Step::Kind::kOperator, std::move(level.pending), {}, 2, level.pending_column});
    level.pending.clear();
    term_expected = false;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::vector<Level> levels_;
  Query query_;
  bool done_ = false;
};

class Answerer {
 public:
  explicit Answerer(const Graph& graph) : graph_(graph), size_(graph.snapshot().elements.size()) {}

  Result<Set> run(const Query& query) {
    for (const auto& step : query.steps) {
      auto set = TRY(step.kind == Query::Step::Kind::kWord       ? word(step)
                     : step.kind == Query::Step::Kind::kOperator ? Result<Set>(combine(step))
                                                                 : function(step));
      stack_.resize(stack_.size() - step.operands);
      stack_.push_back(std::move(set));
    }
    return std::move(stack_.back());
  }

 private:
  const Set& operand(const Query::Step& step, unsigned which) const {
    return stack_[stack_.size() - step.operands + which];
  }

  Result<Set> word(const Query::Step& step) {
    Set set(size_);
    if (is_glob(step.text)) {
      const Glob glob(step.text);
      for (std::size_t i = 0; i < size_; ++i)
        set[i] = glob.matches(graph_.snapshot().elements[i].full_name);
      return set;
    }
    const auto found = graph_.find(step.text);
    if (!found)
      return invalid(step.column, fmt::format("'{}' is not an element of the universe", step.text));
    set[*found] = true;
    return set;
  }

  Set combine(const Query::Step& step) {
    Set left = operand(step, 0);
    const Set& right = operand(step, 1);
    for (std::size_t i = 0; i < size_; ++i) {
      left[i] = step.text == "+"   ? left[i] || right[i]
                : step.text == "-" ? left[i] && !right[i]
                                   : left[i] && right[i];
    }
    return left;
  }

  std::vector<ElementIndex> members(const Set& set) const {
    std::vector<ElementIndex> list;
    for (std::size_t i = 0; i < size_; ++i) {
      if (set[i]) list.push_back(static_cast<ElementIndex>(i));
    }
    return list;
  }

  Set reached(const std::vector<std::uint32_t>& distances) const {
    Set set(size_);
    for (std::size_t i = 0; i < size_; ++i) set[i] = distances[i] != Graph::kUnreached;
    return set;
  }

  Result<Set> function(const Query::Step& step) {
    if (step.text == "all") return Set(size_, true);
    if (step.text == "deps" || step.text == "rdeps") return closure(step);
    if (step.text == "scope") return scope(step);
    if (step.text == "kind") {
      Set set = operand(step, 0);
      const Glob glob(step.words[0]);
      for (std::size_t i = 0; i < size_; ++i)
        set[i] = set[i] && glob.matches(graph_.snapshot().elements[i].kind);
      return set;
    }
    if (step.text == "path" || step.text == "paths") return between(step);
    return ends(step, step.text == "leaves");
  }

  Result<Set> closure(const Query::Step& step) {
    std::uint32_t depth = Graph::kUnreached - 1;
    unsigned edges = kAllEdges;
    bool depth_given = false;
    for (const std::string& word : step.words) {
      std::uint32_t number = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      if (edges == kAllEdges && (word == "build" || word == "runtime")) {
        edges = word == "build" ? kBuildEdges : kRuntimeEdges;
      } else if (!depth_given && edges == kAllEdges && error == std::errc() &&
                 end == word.data() + word.size() && number < Graph::kUnreached) {
        depth = number;
        depth_given = true;
      } else {
        return invalid(step.column,
                       fmt::format("'{}' takes a depth, then 'build' or 'runtime'; not '{}'",
                                   step.text, word));
      }
    }
    const auto starts = members(operand(step, 0));
    return reached(graph_.distances(
        starts, step.text == "deps" ? Direction::kDependencies : Direction::kDependents, edges,
        depth));
  }

  Result<Set> scope(const Query::Step& step) {
    const std::string& which = step.words[0];
    const auto starts = members(operand(step, 0));
    if (which == "none") return operand(step, 0);
    if (which == "run")
      return reached(graph_.distances(starts, Direction::kDependencies, kRuntimeEdges));
    if (which == "all")
      return reached(graph_.distances(starts, Direction::kDependencies, kAllEdges));
    if (which != "build")
      return invalid(step.column,
                     fmt::format("'scope' takes none, run, build or all; not '{}'", which));
    std::vector<ElementIndex> direct;
    for (const ElementIndex start : starts) {
      for (const auto& dependency : graph_.snapshot().elements[start].dependencies) {
        if (dependency.build) direct.push_back(dependency.element);
      }
    }
    return reached(graph_.distances(direct, Direction::kDependencies, kRuntimeEdges));
  }

  Result<Set> between(const Query::Step& step) {
    const auto from = members(operand(step, 0));
    const auto to = members(operand(step, 1));
    const auto up = graph_.distances(to, Direction::kDependents, kAllEdges);
    Set set(size_);
    if (step.text == "paths") {
      const auto down = graph_.distances(from, Direction::kDependencies, kAllEdges);
      for (std::size_t i = 0; i < size_; ++i)
        set[i] = up[i] != Graph::kUnreached && down[i] != Graph::kUnreached;
      return set;
    }
    // The shortest, that of the element that comes first when there are several.
    std::optional<ElementIndex> at;
    for (const ElementIndex element : from) {
      if (up[element] != Graph::kUnreached && (!at || up[element] < up[*at])) at = element;
    }
    while (at) {
      set[*at] = true;
      const ElementIndex here = *at;
      at.reset();
      for (const auto& dependency : graph_.snapshot().elements[here].dependencies) {
        if (up[here] == 0 || up[dependency.element] != up[here] - 1) continue;
        at = dependency.element;
        break;
      }
    }
    return set;
  }

  // The elements of a set that no other of it needs, or that need no other of it, directly.
  Set ends(const Query::Step& step, bool leaves) {
    const Set& in = operand(step, 0);
    Set set = in;
    for (std::size_t i = 0; i < size_; ++i) {
      if (!in[i]) continue;
      for (const auto& dependency : graph_.snapshot().elements[i].dependencies) {
        if (in[dependency.element]) set[leaves ? i : dependency.element] = false;
      }
    }
    return set;
  }

  const Graph& graph_;
  std::size_t size_;
  std::vector<Set> stack_;
};

}  // namespace

std::vector<std::string> Query::names() const {
  std::vector<std::string> names;
  for (const Step& step : steps) {
    if (step.kind != Step::Kind::kWord || is_glob(step.text)) continue;
    if (std::find(names.begin(), names.end(), step.text) == names.end()) names.push_back(step.text);
  }
  return names;
}

bool Query::asks_universe() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.kind == Step::Kind::kWord
               ? is_glob(step.text)
               : step.kind == Step::Kind::kFunction && (step.text == "all" || step.text == "rdeps");
  });
}

Result<Query> parse_query(std::string_view text) {
  auto tokens = TRY(split(text));
  return Parser(std::move(tokens)).parse();
}

Result<std::vector<bool>> answer_query(const Query& query, const Graph& graph) {
  return Answerer(graph).run(query);
}

std::string_view query_functions() {
  return "  NAME            The element; a wildcard (*, **, ?) means all of the universe that "
         "match\n"
         "  deps(X)         X and all that it depends on; deps(X, DEPTH): through so many levels; "
         "a "
         "last argument, build or runtime: following such dependencies only\n"
         "  rdeps(X)        X and all that depends on it, in the universe; arguments as those of "
         "deps\n"
         "  scope(DEPS, X)  What --deps means: none, run, build or all\n"
         "  kind(KIND, X)   Those of X that are of a kind; wildcards as in names\n"
         "  path(X, Y)      The elements on a shortest chain from X to Y\n"
         "  paths(X, Y)     The elements on any chain from X to Y\n"
         "  roots(X)        Those that no other of X depends on\n"
         "  leaves(X)       Those that depend on no other of X\n"
         "  all()           The universe\n"
         "  X + Y           Union, from left to right; the word union means the same\n"
         "  X - Y           Difference; except\n"
         "  X ^ Y           Intersection; intersect. ( ) for another order\n";
}

}  // namespace sluice::cli
