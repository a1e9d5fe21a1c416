#include "sources/work.h"

#include <fmt/format.h>

namespace sluice::sources {

std::string where(const model::Source& source) {
  return source.provenance.known()
             ? fmt::format("{} source at {}: ", source.kind, source.provenance.str())
             : std::string();
}

tl::unexpected<Error> source_error(const model::Source& source, std::string reason,
                                   std::string message, std::string detail) {
  return fail("source", std::move(reason), std::move(message), source.provenance,
              std::move(detail));
}

Status warn(const model::Source& source, Surroundings& surroundings, std::string_view warning,
            std::string_view text, std::string_view detail) {
  const std::string message = fmt::format("[{}]: {}{}", warning, where(source), text);
  if (surroundings.is_fatal(warning))
    return fail("plugin", std::string(warning), message, source.provenance, std::string(detail));
  surroundings.message(Weight::kWarning, message, detail);
  return {};
}

}  // namespace sluice::sources
