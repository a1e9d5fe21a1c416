// Moments as documents have them.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// Seconds since 1970: "2026-11-30T12:00:00Z"; "" outside of the years that have four digits.
std::string utc_text(std::int64_t seconds);

}  // namespace sluice
