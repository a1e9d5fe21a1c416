#include "renderer/report/options.h"

#include "base/try.h"
#include "renderer/arguments.h"

namespace sluice::renderer {

Result<ReportOptions> parse_report_options(const std::vector<std::string>& arguments) {
  const Arguments given = TRY(
      Arguments::read(arguments, {"--session", "--compare", "--output"}, {"--help", "--version"}));
  CHECK(given.no_words());
  ReportOptions out;
  out.session = given.text("--session");
  out.compare = given.text("--compare");
  out.output = given.text("--output");
  out.help = given.has("--help");
  out.version = given.has("--version");
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
