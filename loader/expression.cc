#include "loader/expression.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "loader/try.h"

namespace sluice::loader {

namespace {

enum class TokenKind { kEnd, kName, kString, kInteger, kFloat, kOperator };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // of strings: unescaped
};

constexpr int kDeepest = 200;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Evaluator {
 public:
  Evaluator(std::string_view text, const ValueMap& names) : text_(text), names_(names) {}

  Result<bool> run() {
    CHECK(tokenize());
    const Value value = TRY(conditional());
    if (peek().kind != TokenKind::kEnd) return failure(fmt::format("unexpected '{}'", peek().text));
    return truth(value);
  }

 private:
  tl::unexpected<Error> failure(std::string_view why) const {
    return fail("load", "expression-failed", fmt::format("Failed to evaluate expression ({}): {}", text_, why));
  }

  Status tokenize() {
    std::size_t i = 0;
    while (i < text_.size()) {
      const char c = text_[i];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++i;
      } else if (is_name_start(c)) {
        const std::size_t start = i;
        while (i < text_.size() && (is_name_start(text_[i]) || is_digit(text_[i]))) ++i;
        tokens_.push_back({TokenKind::kName, std::string(text_.substr(start, i - start))});
      } else if (is_digit(c)) {
        const std::size_t start = i;
        bool fraction = false;
        while (i < text_.size() && (is_digit(text_[i]) || text_[i] == '_' ||
                                    (text_[i] == '.' && !fraction && i + 1 < text_.size() && is_digit(text_[i + 1])))) {
          fraction = fraction || text_[i] == '.';
          ++i;
        }
        std::string digits;
        for (const char d : text_.substr(start, i - start)) {
          if (d != '_') digits += d;
        }
        tokens_.push_back({fraction ? TokenKind::kFloat : TokenKind::kInteger, std::move(digits)});
      } else if (c == '"' || c == '\'') {
        CHECK(read_string(i));
      } else {
        static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "//", "**", "<", ">", "(", ")", "[", "]", "{",
                                                          "}",  ",",  "~",  "+",  "-",  "*",  "/", "%", "|", ".", ":"};
        bool found = false;
        for (std::string_view op : kOperators) {
          if (text_.substr(i).starts_with(op)) {
            tokens_.push_back({TokenKind::kOperator, std::string(op)});
            i += op.size();
            found = true;
            break;
          }
        }
        if (!found) return failure(fmt::format("unexpected char '{}' at {}", c, i));
      }
    }
    return {};
  }

  Status read_string(std::size_t& i) {
    const char quote = text_[i++];
    std::string value;
    while (i < text_.size() && text_[i] != quote) {
      if (text_[i] == '\\' && i + 1 < text_.size()) {
        ++i;
        switch (text_[i]) {
          case 'n': value += '\n'; break;
          case 't': value += '\t'; break;
          case 'r': value += '\r'; break;
          case '\\': value += '\\'; break;
          case '\'': value += '\''; break;
          case '"': value += '"'; break;
          default: value += '\\'; value += text_[i];
        }
        ++i;
      } else {
        value += text_[i++];
      }
    }
    if (i >= text_.size()) return failure("a string does not end");
    ++i;
    tokens_.push_back({TokenKind::kString, std::move(value)});
    return {};
  }

  const Token& peek(std::size_t ahead = 0) const {
    static const Token kEndToken;
    return next_ + ahead < tokens_.size() ? tokens_[next_ + ahead] : kEndToken;
  }
  bool is_operator(std::string_view op) const { return peek().kind == TokenKind::kOperator && peek().text == op; }
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
  Status expect(std::string_view op) {
    if (accept_operator(op)) return {};
    if (peek().kind == TokenKind::kEnd) return failure(fmt::format("unexpected end, expected '{}'", op));
    return failure(fmt::format("expected '{}', got '{}'", op, peek().text));
  }

  Result<bool> truth(const Value& value) const {
    if (const auto* undefined = std::get_if<Undefined>(&value.data)) return failure(fmt::format("'{}' is undefined", undefined->name));
    if (const auto* flag = std::get_if<bool>(&value.data)) return *flag;
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return *integer != 0;
    if (const auto* number = std::get_if<double>(&value.data)) return *number != 0;
    if (const auto* string = std::get_if<std::string>(&value.data)) return !string->empty();
    if (const auto* list = std::get_if<ValueList>(&value.data)) return !list->empty();
    return false;
  }

  // What is not taken is parsed but not evaluated (`skipping_`), so that an undefined
  // name there is no error.
  Result<Value> conditional() {
    if (++depth_ > kDeepest) return failure("nested too deeply");
    Value value = TRY(disjunction());
    while (accept_word("if")) {
      const bool condition = TRY(wanted_truth(TRY(disjunction())));
      Value otherwise{Undefined{"the else part"}};
      if (accept_word("else")) otherwise = TRY(conditional());
      if (!condition) value = std::move(otherwise);
    }
    --depth_;
    return value;
  }

  Result<bool> wanted_truth(const Value& value) const {
    if (skipping_ > 0) return false;
    return truth(value);
  }

  Result<Value> disjunction() {
    Value left = TRY(conjunction());
    while (accept_word("or")) {
      const bool known = TRY(wanted_truth(left));
      skipping_ += known ? 1 : 0;
      Value right = TRY(conjunction());
      skipping_ -= known ? 1 : 0;
      if (!known) left = std::move(right);
    }
    return left;
  }

  Result<Value> conjunction() {
    Value left = TRY(negation());
    while (accept_word("and")) {
      const bool known = TRY(wanted_truth(left));
      skipping_ += known ? 0 : 1;
      Value right = TRY(negation());
      skipping_ -= known ? 0 : 1;
      if (known) left = std::move(right);
    }
    return left;
  }

  Result<Value> negation() {
    if (++depth_ > kDeepest) return failure("nested too deeply");
    std::optional<Value> result;
    if (is_word("not") && !is_word("in", 1)) {
      ++next_;
      const Value operand = TRY(negation());
      result = Value{skipping_ > 0 ? false : !TRY(truth(operand))};
    } else {
      result = TRY(comparison());
    }
    --depth_;
    return std::move(*result);
  }

  Result<Value> comparison() {
    Value left = TRY(sum());
    bool any = false;
    bool holds = true;
    while (true) {
      std::string op;
      if (peek().kind == TokenKind::kOperator) {
        for (std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
          if (peek().text == candidate) op = candidate;
        }
        if (!op.empty()) ++next_;
      } else if (is_word("in")) {
        op = "in";
        ++next_;
      } else if (is_word("not") && is_word("in", 1)) {
        op = "not in";
        next_ += 2;
      }
      if (op.empty()) break;
      Value right = TRY(sum());
      if (skipping_ == 0 && holds) holds = TRY(compare(left, op, right));
      left = std::move(right);
      any = true;
    }
    if (any) return Value{holds};
    return left;
  }

  static std::optional<double> number_of(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value.data)) return *flag ? 1 : 0;
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return static_cast<double>(*integer);
    if (const auto* number = std::get_if<double>(&value.data)) return *number;
    return std::nullopt;
  }

  static bool equal(const Value& left, const Value& right) {
    const auto left_number = number_of(left);
    const auto right_number = number_of(right);
    if (left_number && right_number) return *left_number == *right_number;
    if (left.data.index() != right.data.index()) return false;
    if (const auto* string = std::get_if<std::string>(&left.data)) return *string == std::get<std::string>(right.data);
    if (const auto* list = std::get_if<ValueList>(&left.data)) {
      const auto& other = std::get<ValueList>(right.data);
      if (list->size() != other.size()) return false;
      for (std::size_t i = 0; i < list->size(); ++i) {
        if (!equal((*list)[i], other[i])) return false;
      }
      return true;
    }
    return std::holds_alternative<std::monostate>(left.data);
  }

  static std::string_view type_of(const Value& value) {
    static constexpr std::string_view kNames[] = {"undefined", "NoneType", "bool", "int", "float", "str", "list"};
    return kNames[value.data.index()];
  }

  Result<bool> compare(const Value& left, std::string_view op, const Value& right) const {
    for (const Value* side : {&left, &right}) {
      if (const auto* undefined = std::get_if<Undefined>(&side->data)) return failure(fmt::format("'{}' is undefined", undefined->name));
    }
    if (op == "==") return equal(left, right);
    if (op == "!=") return !equal(left, right);
    if (op == "in" || op == "not in") {
      bool contained = false;
      if (const auto* list = std::get_if<ValueList>(&right.data)) {
        for (const Value& item : *list) contained = contained || equal(left, item);
      } else if (std::holds_alternative<std::string>(right.data) && std::holds_alternative<std::string>(left.data)) {
        contained = std::get<std::string>(right.data).find(std::get<std::string>(left.data)) != std::string::npos;
      } else {
        return failure(fmt::format("'{}' is not supported between '{}' and '{}'", op, type_of(left), type_of(right)));
      }
      return contained == (op == "in");
    }
    int order = 0;
    const auto left_number = number_of(left);
    const auto right_number = number_of(right);
    if (left_number && right_number) {
      order = *left_number < *right_number ? -1 : *left_number > *right_number ? 1 : 0;
    } else if (std::holds_alternative<std::string>(left.data) && std::holds_alternative<std::string>(right.data)) {
      order = std::get<std::string>(left.data).compare(std::get<std::string>(right.data));
    } else {
      return failure(fmt::format("'{}' not supported between instances of '{}' and '{}'", op, type_of(left), type_of(right)));
    }
    if (op == "<") return order < 0;
    if (op == "<=") return order <= 0;
    if (op == ">") return order > 0;
    return order >= 0;
  }

  Result<Value> sum() {
    Value left = TRY(unary());
    while (true) {
      const bool concatenate = is_operator("~");
      if (!concatenate && !is_operator("+")) {
        for (std::string_view op : {"-", "*", "/", "//", "%", "**"}) {
          if (is_operator(op)) return failure(fmt::format("arithmetic ('{}') is not supported", op));
        }
        if (is_operator("|")) return failure("filters ('|') are not supported");
        return left;
      }
      ++next_;
      Value right = TRY(unary());
      if (skipping_ > 0) continue;
      if (std::holds_alternative<std::string>(left.data) && std::holds_alternative<std::string>(right.data)) {
        left = Value{std::get<std::string>(left.data) + std::get<std::string>(right.data)};
      } else if (!concatenate && std::holds_alternative<std::int64_t>(left.data) && std::holds_alternative<std::int64_t>(right.data)) {
        left = Value{static_cast<std::int64_t>(static_cast<std::uint64_t>(std::get<std::int64_t>(left.data)) +
                                               static_cast<std::uint64_t>(std::get<std::int64_t>(right.data)))};
      } else if (!concatenate && std::holds_alternative<ValueList>(left.data) && std::holds_alternative<ValueList>(right.data)) {
        ValueList joined = std::get<ValueList>(left.data);
        for (const Value& item : std::get<ValueList>(right.data)) joined.push_back(item);
        left = Value{std::move(joined)};
      } else {
        for (const Value* side : {&left, &right}) {
          if (const auto* undefined = std::get_if<Undefined>(&side->data)) return failure(fmt::format("'{}' is undefined", undefined->name));
        }
        return failure(fmt::format("'{}' is not supported between '{}' and '{}'", concatenate ? "~" : "+", type_of(left), type_of(right)));
      }
    }
  }

  Result<Value> unary() {
    const bool negative = accept_operator("-");
    if (negative || accept_operator("+")) {
      if (++depth_ > kDeepest) return failure("nested too deeply");
      Value operand = TRY(unary());
      --depth_;
      if (!negative || skipping_ > 0) return operand;
      if (const auto* integer = std::get_if<std::int64_t>(&operand.data)) return Value{static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(*integer))};
      if (const auto* number = std::get_if<double>(&operand.data)) return Value{-*number};
      return failure(fmt::format("bad operand type for unary -: '{}'", type_of(operand)));
    }
    Value value = TRY(primary());
    return postfix(std::move(value));
  }

  Result<Value> postfix(Value value) {
    while (true) {
      if (accept_operator("[")) {
        const Value index = TRY(conditional());
        CHECK(expect("]"));
        if (skipping_ > 0) continue;
        const auto* list = std::get_if<ValueList>(&value.data);
        const auto* position = std::get_if<std::int64_t>(&index.data);
        if (list == nullptr || position == nullptr) return failure("only lists have subscripts, and only integer ones");
        const std::int64_t at = *position < 0 ? *position + static_cast<std::int64_t>(list->size()) : *position;
        if (at < 0 || at >= static_cast<std::int64_t>(list->size())) return failure(fmt::format("the list has no item {}", *position));
        Value item = (*list)[static_cast<std::size_t>(at)];
        value = std::move(item);
      } else if (is_operator("(")) {
        return failure("calls are not supported");
      } else if (is_operator(".")) {
        return failure("attributes ('.') are not supported");
      } else if (is_word("is")) {
        ++next_;
        const bool negated = accept_word("not");
        if (!accept_word("defined")) return failure(fmt::format("the test '{}' is not supported", peek().text));
        value = Value{std::holds_alternative<Undefined>(value.data) == negated};
      } else {
        return value;
      }
    }
  }

  Result<Value> primary() {
    const Token token = peek();
    ++next_;
    switch (token.kind) {
      case TokenKind::kEnd: return failure("unexpected end of expression");
      case TokenKind::kString: {
        std::string text = token.text;  // adjacent strings are one
        while (peek().kind == TokenKind::kString) text += tokens_[next_++].text;
        return Value{std::move(text)};
      }
      case TokenKind::kInteger: {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
        if (error != std::errc()) return failure(fmt::format("{} is out of range", token.text));
        return Value{value};
      }
      case TokenKind::kFloat: return Value{std::strtod(token.text.c_str(), nullptr)};
      case TokenKind::kName: return name(token.text);
      case TokenKind::kOperator: break;
    }
    if (token.text == "(" || token.text == "[") {
      const std::string_view close = token.text == "(" ? ")" : "]";
      ValueList items;
      bool comma = token.text == "[";
      while (!accept_operator(close)) {
        items.push_back(TRY(conditional()));
        if (accept_operator(",")) {
          comma = true;
        } else {
          CHECK(expect(close));
          break;
        }
      }
      if (!comma && items.size() == 1) return std::move(items.front());
      return Value{std::move(items)};
    }
    if (token.text == "{") return failure("dictionaries are not supported");
    return failure(fmt::format("unexpected '{}'", token.text));
  }

  Result<Value> name(const std::string& word) {
    if (word == "true" || word == "True") return Value{true};
    if (word == "false" || word == "False") return Value{false};
    if (word == "none" || word == "None") return Value{std::monostate{}};
    for (std::string_view reserved : {"and", "or", "not", "in", "is", "if", "else"}) {
      if (word == reserved) return failure(fmt::format("unexpected '{}'", word));
    }
    const auto found = names_.find(word);
    if (found != names_.end()) return found->second;
    return Value{Undefined{word}};
  }

  std::string_view text_;
  const ValueMap& names_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int depth_ = 0;
  int skipping_ = 0;
};

}  // namespace

Result<bool> evaluate(std::string_view expression, const ValueMap& names) { return Evaluator(expression, names).run(); }

}  // namespace sluice::loader
