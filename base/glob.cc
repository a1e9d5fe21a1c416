#include "base/glob.h"

namespace sluice {

namespace {

// The code point at `at`, which moves behind it. What is no UTF-8 is one character
// a byte, above all code points, so that it only equals itself.
char32_t next_character(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at++]);
  if (byte < 0x80) return byte;
  const int more = byte >= 0xf0 && byte < 0xf8 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
  if (more == 0 || byte >= 0xf8 || at + static_cast<std::size_t>(more) > text.size())
    return 0x110000u + byte;
  char32_t value = byte & (0x3f >> more);
  for (int i = 0; i < more; ++i) {
    const auto next = static_cast<unsigned char>(text[at + static_cast<std::size_t>(i)]);
    if ((next & 0xc0) != 0x80) return 0x110000u + byte;
    value = (value << 6) | (next & 0x3f);
  }
  at += static_cast<std::size_t>(more);
  return value;
}

std::u32string characters(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) out += next_character(text, at);
  return out;
}

}  // namespace

Glob::Glob(std::string_view pattern) {
  const std::u32string p = characters(pattern);
  for (std::size_t i = 0; i < p.size();) {
    const char32_t c = p[i++];
    Token token;
    if (c == U'*') {
      token.kind = Token::Kind::kStar;
      if (i < p.size() && p[i] == U'*') {
        token.kind = Token::Kind::kStarStar;
        ++i;
      }
    } else if (c == U'?') {
      token.kind = Token::Kind::kOne;
    } else if (c == U'[') {
      std::size_t end = i;
      if (end < p.size() && p[end] == U'!') ++end;
      if (end < p.size() && p[end] == U']') ++end;
      while (end < p.size() && p[end] != U']') ++end;
      token.character = c;
      if (end < p.size()) {
        token.kind = Token::Kind::kClass;
        if (p[i] == U'!') {
          token.negated = true;
          ++i;
        }
        while (i < end) {
          const char32_t first = p[i++];
          char32_t last = first;
          if (i + 1 < end && p[i] == U'-') {
            last = p[i + 1];
            i += 2;
          }
          token.ranges.emplace_back(first, last);
        }
        i = end + 1;
      }
    } else {
      token.character = c;
    }
    tokens_.push_back(std::move(token));
  }
}

bool Glob::accepts(const Token& token, char32_t c) {
  switch (token.kind) {
    case Token::Kind::kCharacter: return c == token.character;
    case Token::Kind::kOne:
    case Token::Kind::kStar: return c != U'/';
    case Token::Kind::kStarStar: return true;
    case Token::Kind::kClass:
      for (const auto& [first, last] : token.ranges) {
        if (c >= first && c <= last) return !token.negated;
      }
      return token.negated;
  }
  return false;
}

bool Glob::matches(std::string_view path) const {
  // states[i]: the tokens before i have matched what was read.
  std::vector<char> states(tokens_.size() + 1, 0);
  const auto is_star = [&](std::size_t i) {
    return tokens_[i].kind == Token::Kind::kStar || tokens_[i].kind == Token::Kind::kStarStar;
  };
  const auto skip_stars = [&] {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (states[i] && is_star(i)) states[i + 1] = 1;
    }
  };
  states[0] = 1;
  skip_stars();
  for (std::size_t at = 0; at < path.size();) {
    const char32_t c = next_character(path, at);
    bool alive = false;
    for (std::size_t i = tokens_.size() + 1; i-- > 0;) {
      char next = 0;
      if (i > 0 && states[i - 1] && !is_star(i - 1) && accepts(tokens_[i - 1], c)) next = 1;
      if (i < tokens_.size() && states[i] && is_star(i) && accepts(tokens_[i], c)) next = 1;
      states[i] = next;
      alive |= next != 0;
    }
    if (!alive) return false;
    skip_stars();
  }
  return states.back() != 0;
}

GlobSet::GlobSet(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) globs_.emplace_back(pattern);
}

bool GlobSet::matches(std::string_view path) const {
  for (const Glob& glob : globs_) {
    if (glob.matches(path)) return true;
  }
  return false;
}

bool is_glob(std::string_view name) { return name.find_first_of("*?[") != std::string_view::npos; }

bool glob_matches(std::string_view pattern, std::string_view name) {
  const auto slashed = [](std::string_view text) {
    return text.starts_with('/') ? std::string(text) : "/" + std::string(text);
  };
  return Glob(slashed(pattern)).matches(slashed(name));
}

}  // namespace sluice
