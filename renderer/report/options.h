// What sluice-report is to do.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::renderer {

struct ReportOptions {
  std::string session;  // id
  std::string compare;  // id of an earlier one; "": none
  std::string output;   // file; "-" or "": standard output
  bool help = false, version = false;
};

// Error "app"/"usage".
Result<ReportOptions> parse_report_options(const std::vector<std::string>& arguments);
std::string report_usage();

}  // namespace sluice::renderer
