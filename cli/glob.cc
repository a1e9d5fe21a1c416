#include "cli/glob.h"

#include <string>
#include <vector>

namespace sluice::cli {

namespace {

struct Token {
  enum class Kind { kLiteral, kOne, kMany, kManyDeep, kSet } kind = Kind::kLiteral;
  char literal = 0;
  std::string_view set;
  bool inverted = false;

  bool repeats() const { return kind == Kind::kMany || kind == Kind::kManyDeep; }

  bool takes(char c) const {
    switch (kind) {
      case Kind::kLiteral: return c == literal;
      case Kind::kOne: case Kind::kMany: return c != '/';
      case Kind::kManyDeep: return true;
      case Kind::kSet: break;
    }
    bool in = false;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (i + 2 < set.size() && set[i + 1] == '-') {
        in = in || (set[i] <= c && c <= set[i + 2]);
        i += 2;
      } else {
        in = in || set[i] == c;
      }
    }
    return in != inverted;
  }
};

std::vector<Token> tokens_of(std::string_view pattern) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    Token token;
    if (pattern[i] == '*') {
      const bool deep = i + 1 < pattern.size() && pattern[i + 1] == '*';
      token.kind = deep ? Token::Kind::kManyDeep : Token::Kind::kMany;
      if (deep) ++i;
    } else if (pattern[i] == '?') {
      token.kind = Token::Kind::kOne;
    } else if (pattern[i] == '[') {
      std::size_t end = i + 1;
      if (end < pattern.size() && pattern[end] == '!') ++end;
      if (end < pattern.size() && pattern[end] == ']') ++end;
      end = pattern.find(']', end);
      if (end == std::string_view::npos) {
        token.literal = '[';
      } else {
        token.kind = Token::Kind::kSet;
        token.set = pattern.substr(i + 1, end - i - 1);
        token.inverted = token.set.starts_with('!');
        if (token.inverted) token.set.remove_prefix(1);
        i = end;
      }
    } else {
      token.literal = pattern[i];
    }
    tokens.push_back(token);
  }
  return tokens;
}

}  // namespace

bool is_glob(std::string_view name) { return name.find_first_of("*?[") != std::string_view::npos; }

bool glob_matches(std::string_view pattern, std::string_view name) {
  std::string slashed_pattern(pattern.starts_with('/') ? "" : "/");
  slashed_pattern += pattern;
  std::string slashed_name(name.starts_with('/') ? "" : "/");
  slashed_name += name;
  const std::vector<Token> tokens = tokens_of(slashed_pattern);
  // states[i]: the text so far can be matched by the first i tokens.
  std::vector<bool> states(tokens.size() + 1, false);
  const auto skip_empty = [&] {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (states[i] && tokens[i].repeats()) states[i + 1] = true;
    }
  };
  states[0] = true;
  skip_empty();
  for (const char c : slashed_name) {
    std::vector<bool> next(states.size(), false);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!states[i] || !tokens[i].takes(c)) continue;
      next[tokens[i].repeats() ? i : i + 1] = true;
    }
    states.swap(next);
    skip_empty();
  }
  return states.back();
}

}  // namespace sluice::cli
