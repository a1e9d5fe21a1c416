// Enumerations and their texts. An enumeration that has texts declares, beside it, `texts_of(const
// Enum*)`: the texts of its values, in their order, found by argument-dependent lookup. The codec
// (wire/codec.h) writes and reads such values as these texts.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice::model {

template <typename Enum>
constexpr std::string_view text_of(Enum value) {
  return texts_of(static_cast<const Enum*>(nullptr))[static_cast<std::size_t>(value)];
}

template <typename Enum>
constexpr std::optional<Enum> named(std::string_view text) {
  const auto texts = texts_of(static_cast<const Enum*>(nullptr));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace sluice::model
