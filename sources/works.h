// What the kinds' work.cc have for the table of work_table.cc.
#pragma once

#include "sources/work.h"

namespace sluice::sources {

namespace local { Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings); }
namespace patch { Status change(const model::Source& source, Surroundings& surroundings, const std::string& directory); }
namespace remote { Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings); }
namespace tar { Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings); }

}  // namespace sluice::sources
