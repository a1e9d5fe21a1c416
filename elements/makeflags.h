// MAKEFLAGS, and what it says of parallel processes.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::elements {

// The number of tokens of a jobserver that a make with these flags can use: one less than the
// processes of its -j, a thousand and some for a -j without a number. 0: it has no -j, one process,
// or a jobserver already.
std::uint32_t tokens_of_makeflags(std::string_view flags);

}  // namespace sluice::elements
