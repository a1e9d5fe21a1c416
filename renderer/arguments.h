// The command lines of the small programs that listen to sessions: words, flags, and options with a
// value (--name VALUE or --name=VALUE; the last one counts, or all where several are meant). -h is
// --help.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::renderer {

class Arguments {
 public:
  // Error "app"/"usage": an option that is in neither list, or that lacks its value. After "--"
  // there are only words.
  static Result<Arguments> read(const std::vector<std::string>& given,
                                const std::vector<std::string_view>& valued,
                                const std::vector<std::string_view>& flags);

  const std::vector<std::string>& words() const { return words_; }
  // Error "app"/"usage": there are some.
  Status no_words() const;
  bool has(std::string_view name) const { return values_.contains(std::string(name)); }
  // The last value; `otherwise` when it wasn't given.
  std::string text(std::string_view name, std::string_view otherwise = {}) const;
  std::vector<std::string> all(std::string_view name) const;
  // Error "app"/"usage": it is no number from `least` to `most`.
  Result<std::uint64_t> number(std::string_view name, std::uint64_t otherwise, std::uint64_t least,
                               std::uint64_t most) const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace sluice::renderer
