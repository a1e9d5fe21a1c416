#include "sources/works.h"

namespace sluice::sources::pypi {

// STUB
Result<std::optional<Found>> track(const model::Source& source, Surroundings&) {
  return source_error(source, "stub", "stub");
}

Result<bool> cached(const model::Source& source, Surroundings&) {
  return source_error(source, "stub", "stub");
}

Status fetch(const model::Source& source, Surroundings&) {
  return source_error(source, "stub", "stub");
}

Result<model::Digest> stage(const model::Source& source, Surroundings&) {
  return source_error(source, "stub", "stub");
}

}  // namespace sluice::sources::pypi
