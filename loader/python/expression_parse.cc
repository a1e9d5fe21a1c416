#include <charconv>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_calls.h"
#include "loader/python/expression_tree.h"
#include "loader/python/expression_values.h"

namespace sluice::loader {

namespace {

enum class TokenKind { kEnd, kName, kString, kNumber, kOperator };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // of strings: unescaped
  Value value;       // of a number
};

constexpr int kDeepest = 200;   // of the parser's recursion
constexpr int kHighest = 1000;  // of a tree

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
int digit_of(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

void append_code_point(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | (code >> 6));
    text += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | (code >> 12));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | (code >> 18));
    text += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_space(c)) {
        ++at_;
      } else if (is_digit(c)) {
        CHECK(number());
      } else if (is_name_start(c)) {
        const std::size_t start = at_;
        while (at_ < text_.size() && (is_name_start(text_[at_]) || is_digit(text_[at_]))) ++at_;
        tokens_.push_back({TokenKind::kName, std::string(text_.substr(start, at_ - start)), {}});
      } else if (c == '"' || c == '\'') {
        CHECK(string());
      } else {
        CHECK(operation());
      }
    }
    return std::move(tokens_);
  }

 private:
  Status operation() {
    const std::string_view rest = text_.substr(at_);
    if (open_ == 0 &&
        (rest.starts_with("%}") || rest.starts_with("-%}") || rest.starts_with("+%}"))) {
      return expression_failure(
          "'%}' ends an expression of Jinja2, and what follows is not supported");
    }
    static constexpr std::string_view kOperators[] = {
        "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (std::string_view op : kOperators) {
      if (!rest.starts_with(op)) continue;
      if (op == "(" || op == "[" || op == "{") ++open_;
      if (op == ")" || op == "]" || op == "}") --open_;
      tokens_.push_back({TokenKind::kOperator, std::string(op), {}});
      at_ += op.size();
      return {};
    }
    const std::string_view instead = rest.starts_with("&&") ? "; write 'and'"
                                     : rest.front() == '!'  ? "; write 'not'"
                                                            : "";
    return expression_failure(
        fmt::format("unexpected char '{}' at {}{}", rest.front(), at_, instead));
  }

  // Digits of a base, each of which may have one '_' before it when `first` is false.
  std::string digits(int base, bool first) {
    std::string found;
    while (at_ < text_.size()) {
      const bool joined = text_[at_] == '_' && !(first && found.empty());
      const std::size_t digit = at_ + (joined ? 1 : 0);
      if (digit >= text_.size() || digit_of(text_[digit]) >= base) break;
      found += text_[digit];
      at_ = digit + 1;
    }
    return found;
  }

  Status number() {
    const std::size_t start = at_;
    // A float is looked for first, as in Jinja2; there is none after a dot, where a number is an
    // item's.
    if (start == 0 || text_[start - 1] != '.') {
      std::string whole = digits(10, true);
      bool fraction = false;
      if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
        ++at_;
        whole += "." + digits(10, true);
        fraction = true;
      }
      if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
        const std::size_t sign =
            at_ + 1 < text_.size() && (text_[at_ + 1] == '+' || text_[at_ + 1] == '-') ? 1 : 0;
        if (at_ + 1 + sign < text_.size() && is_digit(text_[at_ + 1 + sign])) {
          whole += "e" + std::string(text_.substr(at_ + 1, sign));
          at_ += 1 + sign;
          whole += digits(10, true);
          fraction = true;
        }
      }
      if (fraction) {
        tokens_.push_back({TokenKind::kNumber, whole, Value{std::strtod(whole.c_str(), nullptr)}});
        return {};
      }
      at_ = start;
    }
    int base = 10;
    std::string found;
    if (text_[at_] == '0') {
      const char mark = at_ + 1 < text_.size() ? static_cast<char>(text_[at_ + 1] | 0x20) : '\0';
      base = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 10;
      if (base != 10) {
        at_ += 2;
        found = digits(base, false);
      }
      if (found.empty()) {
        at_ = start;
        base = 10;
        found = digits(1, true);  // zeros alone: what follows them is another number
      }
    } else {
      found = digits(10, true);
    }
    std::int64_t value = 0;
    const auto [end, error] =
        std::from_chars(found.data(), found.data() + found.size(), value, base);
    if (error != std::errc())
      return expression_failure(
          fmt::format("the number {} is too large", text_.substr(start, at_ - start)));
    tokens_.push_back({TokenKind::kNumber, found, Value{value}});
    return {};
  }

  Status string() {
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        value += text_[at_++];
        continue;
      }
      if (++at_ >= text_.size()) break;
      const char c = text_[at_++];
      static constexpr std::string_view kLetters = "ntrabfv\\'\"", kMeant = "\n\t\r\a\b\f\v\\'\"";
      const std::size_t known = kLetters.find(c);
      const std::size_t width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      if (known != std::string_view::npos) {
        value += kMeant[known];
      } else if (c == '\n') {
        continue;
      } else if (c >= '0' && c <= '7') {
        std::uint32_t code = static_cast<std::uint32_t>(c - '0');
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7';
             ++i) {
          code = code * 8 + static_cast<std::uint32_t>(text_[at_++] - '0');
        }
        append_code_point(value, code);
      } else if (width != 0) {
        std::uint32_t code = 0;
        for (std::size_t i = 0; i < width; ++i, ++at_) {
          if (at_ >= text_.size() || digit_of(text_[at_]) > 15)
            return expression_failure(fmt::format("truncated \\{} escape in a string", c));
          code = code * 16 + static_cast<std::uint32_t>(digit_of(text_[at_]));
        }
        if (code > 0x10ffff) return expression_failure("illegal Unicode character in a string");
        append_code_point(value, code);
      } else if (c == 'N') {
        return expression_failure("'\\N' in a string is not supported; write the character");
      } else {
        value += '\\';
        value += c;
      }
    }
    if (at_ >= text_.size()) return expression_failure("a string does not end");
    ++at_;
    tokens_.push_back({TokenKind::kString, std::move(value), {}});
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int open_ = 0;
  std::vector<Token> tokens_;
};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<ExpressionPtr> run() {
    ExpressionPtr root = TRY(tuple(false));
    if (is_word("if"))
      return expression_failure("unexpected 'if'; 'x if y else z' must stand in parentheses");
    if (is_operator("=")) return expression_failure("unexpected '='; write '=='");
    if (peek().kind != TokenKind::kEnd)
      return expression_failure(fmt::format("unexpected '{}'", peek().text));
    for (const Called& called : called_)
      CHECK(called.is_filter ? known_filter(called.name) : known_test(called.name));
    return root;
  }

 private:
  using Kind = ExpressionKind;

  const Token& peek(std::size_t ahead = 0) const {
    static const Token kEndToken;
    return next_ + ahead < tokens_.size() ? tokens_[next_ + ahead] : kEndToken;
  }
  bool is_operator(std::string_view op, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kOperator && peek(ahead).text == op;
  }
  bool is_word(std::string_view word, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kName && peek(ahead).text == word;
  }
  bool accept_operator(std::string_view op) {
    if (!is_operator(op)) return false;
    ++next_;
    return true;
  }
  bool accept_word(std::string_view word) {
    if (!is_word(word)) return false;
    ++next_;
    return true;
  }
  tl::unexpected<Error> unexpected(std::string_view wanted) const {
    if (peek().kind == TokenKind::kEnd)
      return expression_failure(fmt::format("unexpected end, expected {}", wanted));
    return expression_failure(fmt::format("expected {}, got '{}'", wanted, peek().text));
  }
  Status expect(std::string_view op) {
    if (accept_operator(op)) return {};
    return unexpected(fmt::format("'{}'", op));
  }
  Result<std::string> word() {
    if (peek().kind != TokenKind::kName) return unexpected("a name");
    return tokens_[next_++].text;
  }

  static ExpressionPtr node(Kind kind) {
    auto made = std::make_unique<Expression>();
    made->kind = kind;
    return made;
  }
  static Status add(Expression& parent, ExpressionPtr child) {
    if (child != nullptr && child->height >= parent.height) parent.height = child->height + 1;
    if (parent.height > kHighest) return expression_failure("nested too deeply");
    parent.operands.push_back(std::move(child));
    return {};
  }
  template <typename... Children>
  static Result<ExpressionPtr> node(Kind kind, ExpressionPtr first, Children... rest) {
    ExpressionPtr made = node(kind);
    CHECK(add(*made, std::move(first)));
    for (ExpressionPtr* child : {static_cast<ExpressionPtr*>(nullptr), &rest...}) {
      if (child != nullptr) CHECK(add(*made, std::move(*child)));
    }
    return made;
  }

  // Bounds the parser's recursion for as long as it lives.
  struct Deeper {
    explicit Deeper(int& depth) : depth(depth) { ++depth; }
    ~Deeper() { --depth; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    int& depth;
  };
  Status deep_enough() const {
    if (depth_ > kDeepest) return expression_failure("nested too deeply");
    return {};
  }

  // Parses `x`, `x, y` or, in parentheses, nothing at all. Conditionals are taken in parentheses
  // only.
  Result<ExpressionPtr> tuple(bool parentheses) {
    ExpressionPtr all = node(Kind::kTuple);
    bool comma = false;
    while (peek().kind != TokenKind::kEnd && !is_operator(")")) {
      CHECK(add(*all, parentheses ? TRY(conditional()) : TRY(disjunction())));
      if (!accept_operator(",")) break;
      comma = true;
    }
    if (!comma && all->operands.size() == 1) return std::move(all->operands.front());
    if (!comma && !parentheses) return unexpected("an expression");
    return all;
  }

  Result<ExpressionPtr> conditional() {
    const Deeper deeper(depth_);
    CHECK(deep_enough());
    const std::size_t first_name = called_.size();
    ExpressionPtr value = TRY(disjunction());
    while (accept_word("if")) {
      ExpressionPtr condition = TRY(disjunction());
      ExpressionPtr otherwise;
      if (accept_word("else")) otherwise = TRY(conditional());
      value = TRY(
          node(Kind::kConditional, std::move(value), std::move(condition), std::move(otherwise)));
      called_.resize(
          first_name);  // Jinja2 looks up what a conditional names only when it gets there
    }
    return value;
  }

  Result<ExpressionPtr> disjunction() {
    ExpressionPtr first = TRY(conjunction());
    if (!is_word("or")) return first;
    ExpressionPtr all = TRY(node(Kind::kOr, std::move(first)));
    while (accept_word("or")) CHECK(add(*all, TRY(conjunction())));
    return all;
  }

  Result<ExpressionPtr> conjunction() {
    ExpressionPtr first = TRY(negation());
    if (!is_word("and")) return first;
    ExpressionPtr all = TRY(node(Kind::kAnd, std::move(first)));
    while (accept_word("and")) CHECK(add(*all, TRY(negation())));
    return all;
  }

  Result<ExpressionPtr> negation() {
    if (!is_word("not")) return comparison();
    const Deeper deeper(depth_);
    CHECK(deep_enough());
    ++next_;
    return node(Kind::kNot, TRY(negation()));
  }

  Result<ExpressionPtr> comparison() {
    ExpressionPtr first = TRY(sum());
    ExpressionPtr all;
    while (true) {
      std::string op;
      for (std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (is_operator(candidate)) op = candidate;
      }
      if (is_word("in")) op = "in";
      if (!op.empty()) {
        ++next_;
      } else if (is_word("not") && is_word("in", 1)) {
        op = "not in";
        next_ += 2;
      } else {
        break;
      }
      if (all == nullptr) all = TRY(node(Kind::kCompare, std::move(first)));
      all->operators.push_back(std::move(op));
      CHECK(add(*all, TRY(sum())));
    }
    return all != nullptr ? std::move(all) : std::move(first);
  }

  // Parses operators of one precedence. `~` binds closer than `+`, and `**` is taken from the left,
  // as in Jinja2.
  Result<ExpressionPtr> chain(std::initializer_list<std::string_view> operators,
                              Result<ExpressionPtr> (Parser::*operand)()) {
    ExpressionPtr first = TRY((this->*operand)());
    ExpressionPtr all;
    while (true) {
      std::string_view op;
      for (std::string_view candidate : operators) {
        if (is_operator(candidate)) op = candidate;
      }
      if (op.empty()) break;
      ++next_;
      if (all == nullptr)
        all = TRY(node(op == "~" ? Kind::kConcatenate : Kind::kArithmetic, std::move(first)));
      all->operators.emplace_back(op);
      CHECK(add(*all, TRY((this->*operand)())));
    }
    return all != nullptr ? std::move(all) : std::move(first);
  }
  Result<ExpressionPtr> sum() { return chain({"+", "-"}, &Parser::concatenation); }
  Result<ExpressionPtr> concatenation() { return chain({"~"}, &Parser::product); }
  Result<ExpressionPtr> product() { return chain({"*", "/", "//", "%"}, &Parser::power); }
  Result<ExpressionPtr> power() { return chain({"**"}, &Parser::filtered); }

  Result<ExpressionPtr> filtered() {
    ExpressionPtr value = TRY(unary());
    while (true) {
      if (accept_operator("|")) {
        value = TRY(node(Kind::kFilter, std::move(value)));
        value->text = TRY(dotted_name(true));
        if (is_operator("(")) CHECK(arguments(*value));
      } else if (accept_word("is")) {
        const bool negated = accept_word("not");
        value = TRY(node(Kind::kTest, std::move(value)));
        value->text = TRY(dotted_name(false));
        CHECK(test_argument(*value));
        if (negated) value = TRY(node(Kind::kNot, std::move(value)));
      } else if (is_operator("(")) {
        value = TRY(call(std::move(value)));
      } else {
        return value;
      }
    }
  }

  Result<std::string> dotted_name(bool is_filter) {
    std::string name = TRY(word());
    while (accept_operator(".")) name += "." + TRY(word());
    called_.push_back({name, is_filter});
    return name;
  }

  // Parses the arguments of a test: those in parentheses, or one value without an operator.
  Status test_argument(Expression& test) {
    if (is_operator("(")) return arguments(test);
    const Token& token = peek();
    const bool starts = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                        token.kind == TokenKind::kNumber || is_operator("[") || is_operator("{");
    if (!starts || is_word("else") || is_word("or") || is_word("and")) return {};
    if (is_word("is"))
      return expression_failure("tests can't be chained with 'is'; join them with 'and'");
    return add(test, TRY(postfix(TRY(primary()))));
  }

  Result<ExpressionPtr> unary() {
    const Deeper deeper(depth_);
    CHECK(deep_enough());
    ExpressionPtr value;
    if (accept_operator("-")) {
      value = TRY(node(Kind::kNegative, TRY(unary())));
    } else if (accept_operator("+")) {
      value = TRY(node(Kind::kPositive, TRY(unary())));
    } else {
      value = TRY(primary());
    }
    return postfix(std::move(value));
  }

  Result<ExpressionPtr> postfix(ExpressionPtr value) {
    while (true) {
      if (accept_operator(".")) {
        if (peek().kind == TokenKind::kNumber) {
          ExpressionPtr index = node(Kind::kConstant);
          index->value = tokens_[next_++].value;
          value = TRY(node(Kind::kItem, std::move(value), std::move(index)));
        } else {
          value = TRY(node(Kind::kAttribute, std::move(value)));
          value->text = TRY(word());
        }
      } else if (accept_operator("[")) {
        value = TRY(subscript(std::move(value)));
      } else if (is_operator("(")) {
        value = TRY(call(std::move(value)));
      } else {
        return value;
      }
    }
  }

  Result<ExpressionPtr> subscript(ExpressionPtr value) {
    ExpressionPtr parts[3];
    int colons = 0;
    while (!is_operator("]")) {
      if (colons < 2 && accept_operator(":")) {
        ++colons;
      } else if (parts[colons] == nullptr && peek().kind != TokenKind::kEnd && !is_operator(",")) {
        parts[colons] = TRY(conditional());
      } else {
        break;
      }
    }
    if (is_operator(","))
      return expression_failure(
          "subscripts with ',' are not supported; only lists, strings and dictionaries have any");
    CHECK(expect("]"));
    if (colons > 0)
      return node(Kind::kSlice, std::move(value), std::move(parts[0]), std::move(parts[1]),
                  std::move(parts[2]));
    if (parts[0] == nullptr) return expression_failure("a subscript is empty");
    return node(Kind::kItem, std::move(value), std::move(parts[0]));
  }

  Result<ExpressionPtr> call(ExpressionPtr value) {
    ExpressionPtr made = TRY(node(Kind::kCall, std::move(value)));
    CHECK(arguments(*made));
    return made;
  }

  Status arguments(Expression& to) {
    CHECK(expect("("));
    while (!accept_operator(")")) {
      if (is_operator("*") || is_operator("**"))
        return expression_failure("'*' before arguments is not supported; write them one by one");
      if (peek().kind == TokenKind::kName && is_operator("=", 1)) {
        to.keywords.push_back(peek().text);
        next_ += 2;
      } else if (!to.keywords.empty()) {
        return expression_failure("an argument without a name follows one with a name");
      }
      CHECK(add(to, TRY(conditional())));
      if (accept_operator(",")) continue;
      if (!is_operator(")")) return unexpected("')'");
    }
    return {};
  }

  Result<ExpressionPtr> primary() {
    const Token token = peek();
    if (token.kind == TokenKind::kEnd) return unexpected("an expression");
    ++next_;
    ExpressionPtr made = node(Kind::kConstant);
    switch (token.kind) {
      case TokenKind::kEnd: break;
      case TokenKind::kString: {
        std::string text = token.text;  // strings that touch are one
        while (peek().kind == TokenKind::kString) text += tokens_[next_++].text;
        made->value.data = std::move(text);
        return made;
      }
      case TokenKind::kNumber: made->value = token.value; return made;
      case TokenKind::kName:
        if (token.text == "true" || token.text == "True" || token.text == "false" ||
            token.text == "False") {
          made->value.data = token.text == "true" || token.text == "True";
        } else if (token.text == "none" || token.text == "None") {
          made->value.data = std::monostate{};
        } else {
          made->kind = Kind::kName;
          made->text = token.text;
        }
        return made;
      case TokenKind::kOperator: break;
    }
    if (token.text == "(") {
      made = TRY(tuple(true));
      CHECK(expect(")"));
      return made;
    }
    if (token.text == "[") {
      made->kind = Kind::kList;
      while (!accept_operator("]")) {
        CHECK(add(*made, TRY(conditional())));
        if (!is_operator("]")) CHECK(expect(","));
      }
      return made;
    }
    if (token.text == "{") {
      made->kind = Kind::kDictionary;
      while (!accept_operator("}")) {
        CHECK(add(*made, TRY(conditional())));
        CHECK(expect(":"));
        CHECK(add(*made, TRY(conditional())));
        if (!is_operator("}")) CHECK(expect(","));
      }
      return made;
    }
    if (token.text == "%" && is_operator("{")) {
      return expression_failure(
          "unexpected '%'; variables have no value here, only options, by their names alone");
    }
    return expression_failure(fmt::format("unexpected '{}'", token.text));
  }

  struct Called {
    std::string name;
    bool is_filter = false;
  };

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int depth_ = 0;
  std::vector<Called> called_;  // filters and tests that must be known before anything is evaluated
};

}  // namespace

Result<ExpressionPtr> parse_expression(std::string_view text) {
  return Parser(TRY(Lexer(text).run())).run();
}

}  // namespace sluice::loader
