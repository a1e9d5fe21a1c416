// The end of a log file.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// The last `lines` lines of the regular file, looked for in its last 256 KiB, without the newline
// at the end; "" when it can't be read.
std::string tail_of(const std::string& path, std::uint32_t lines);

}  // namespace sluice
