#include "base/utc.h"

#include <ctime>

namespace sluice {

std::string utc_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&time, &parts) == nullptr || parts.tm_year > 9999 - 1900 || parts.tm_year < -1900)
    return {};
  return std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0 ? "" : text;
}

}  // namespace sluice
