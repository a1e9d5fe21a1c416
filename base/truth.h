// What is or isn't, as users write it into YAML and BuildStream reads it: nothing but these words.
#pragma once

#include <optional>
#include <string_view>

namespace sluice {

inline std::optional<bool> truth_of(std::string_view text) {
  if (text == "True" || text == "true" || text == "1") return true;
  if (text == "False" || text == "false" || text == "0") return false;
  return std::nullopt;
}

// Of a text that was checked when it was loaded; one that isn't there says no.
inline bool is_true(std::string_view text) { return truth_of(text).value_or(false); }

}  // namespace sluice
