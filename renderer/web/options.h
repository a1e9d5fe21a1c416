// What sluice-web is to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::renderer {

struct WebOptions {
  std::string session;     // id of the one that is opened first; "": the list
  std::uint16_t port = 0;  // 0: the system chooses
  bool open = true;        // a browser, where there is a desktop
  bool read_only = false;  // nobody steers anything
  bool help = false, version = false;
};

// Error "app"/"usage".
Result<WebOptions> parse_web_options(const std::vector<std::string>& arguments);
std::string web_usage();

}  // namespace sluice::renderer
