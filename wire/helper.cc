#include "wire/helper.h"

#include <fmt/format.h>

#include "base/try.h"
#include "wire/messages.h"

namespace sluice::wire {

Result<std::string> run_helper(const std::vector<std::string>& argv, const Stop& stop,
                               std::string_view input) {
  Tool tool;
  tool.argv = argv;
  tool.input = input;
  tool.max_output = std::size_t{64} << 20;
  auto ended = TRY(run_tool(tool, stop));
  if (ended.status == 0) return std::move(ended.output);
  auto error = decode<ErrorBody>(ended.output);
  if (error) return tl::unexpected<Error>(error->to_error());
  return fail("job", "helper-died",
              fmt::format("{} ended with status {}", argv.front(), ended.status));
}

}  // namespace sluice::wire
