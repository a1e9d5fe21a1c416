#include "renderer/format.h"

#include "base/text.h"

namespace sluice::renderer {

std::string aligned(const FormatToken& token, std::string_view value) {
  const std::size_t has = display_width(value);
  if (has >= token.width) return std::string(value);
  const std::size_t missing = token.width - has;
  const std::size_t before = token.align == '<' ? 0 : token.align == '>' ? missing : missing / 2;
  return std::string(before, token.fill) + std::string(value) +
         std::string(missing - before, token.fill);
}

}  // namespace sluice::renderer
