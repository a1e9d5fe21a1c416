#include "renderer/report/options.h"

#include <map>

#include <fmt/format.h>

namespace sluice::renderer {

Result<ReportOptions> parse_report_options(const std::vector<std::string>& arguments) {
  ReportOptions out;
  const std::map<std::string, std::string*> valued = {
      {"--session", &out.session}, {"--compare", &out.compare}, {"--output", &out.output}};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--help" || name == "-h") {
      out.help = true;
    } else if (name == "--version") {
      out.version = true;
    } else if (const auto found = valued.find(name); found == valued.end()) {
      return fail("app", "usage", fmt::format("unknown option '{}'", name));
    } else if (++i == arguments.size()) {
      return fail("app", "usage", fmt::format("{} needs a value", name));
    } else {
      *found->second = arguments[i];
    }
  }
  if (out.session.empty() && !out.help && !out.version)
    return fail("app", "usage", "--session is missing");
  return out;
}

std::string report_usage() {
  return "usage: sluice-report --session ID [--compare ID] [--output FILE]\n"
         "\n"
         "Makes a page of a session's records, in one file; `sluice report` runs it.\n"
         "\n"
         "  --session ID    a session of this machine, as its records are now\n"
         "  --compare ID    an earlier session, to compare with\n"
         "  --output FILE   where the page goes (default: standard output)\n"
         "\n"
         "Status: 0, 1 when something failed, 2 of a command line that can't be understood.\n";
}

}  // namespace sluice::renderer
