// Path patterns as BuildStream matches them (utils.py, glob): split rules, overlap
// whitelists, a tar source's base-dir, names of elements and artifacts on the command line.
//
// `*` any characters but '/', `**` any characters, `?` one character but '/',
// `[a-z]` and `[!a-z]` a class (which may match '/'). There is no escape. Characters
// are UTF-8 code points; a byte that is none counts as one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

// Whether a name on the command line is a pattern.
bool is_glob(std::string_view name);

class Glob {
 public:
  explicit Glob(std::string_view pattern);
  // The whole path. Time is at most pattern times path.
  bool matches(std::string_view path) const;

 private:
  struct Token {
    enum class Kind : std::uint8_t {
      kCharacter,
      kOne,
      kStar,
      kStarStar,
      kClass
    } kind = Kind::kCharacter;
    char32_t character = 0;
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges;
  };
  static bool accepts(const Token& token, char32_t c);
  std::vector<Token> tokens_;
};

// Several patterns: a path matches when one of them does.
class GlobSet {
 public:
  explicit GlobSet(const std::vector<std::string>& patterns);
  bool matches(std::string_view path) const;

 private:
  std::vector<Glob> globs_;
};

// As utils.glob() compares: a leading '/' is understood on both sides. One pattern for many names
// is a Glob.
bool glob_matches(std::string_view pattern, std::string_view name);

}  // namespace sluice
