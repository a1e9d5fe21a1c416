// Functions of the kinds' work.cc, for the table of work_table.cc.
#pragma once

#include "sources/work.h"

namespace sluice::sources {

namespace git {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git
namespace git_repo {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git_repo
namespace local {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}
namespace patch {
Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory);
}
namespace patch_queue {
Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory);
Status change_by_patch(const model::Source& source, Surroundings& surroundings,
                       const std::string& directory);
}  // namespace patch_queue
namespace remote {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}
namespace tar {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}

}  // namespace sluice::sources
