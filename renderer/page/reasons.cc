#include "renderer/page/reasons.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/try.h"

namespace sluice::renderer {

Result<std::string> reasons_json(const std::string& session, const std::string& element,
                                 Duration patience, const Stop& stop) {
  Tool tool;
  tool.argv = {find_program("sluice-artifact"), "session", "explain", "--json", "--", session};
  if (!element.empty()) tool.argv.push_back(element);
  tool.directory = "/";  // the one that we are in may be gone
  tool.errors = Tool::Errors::kApart;
  tool.silence = patience;  // it says all at once
  tool.max_output = std::size_t{64} << 20;
  const ToolRun run = TRY(run_tool(tool, stop));
  const auto json = parse_json(run.output);
  if (run.status != 0 || run.cut || !json.is_object() || !json.contains("elements")) {
    std::string said = clean(run.errors);
    limit_text(said, 2000);
    return fail("report", "no-reasons", "Why elements were built can't be told", {},
                said.empty() && run.silent ? "It took too long" : said);
  }
  return json["elements"].dump();
}

}  // namespace sluice::renderer
