// Functions of the kinds' work.cc, for the table of work_table.cc.
#pragma once

#include "sources/work.h"

namespace sluice::sources {

namespace cargo {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace cargo
namespace cargo2 {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace cargo2
namespace cpan {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace cpan
namespace docker {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace docker
namespace git {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git
namespace git_module {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git_module
namespace git_repo {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git_repo
namespace git_tag {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace git_tag
namespace go_module {
// The way of the plugin before release 2.2.
inline constexpr std::string_view kBefore22 = "2.1";
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace go_module
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
namespace pip {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace pip
// Kinds that are only somebody's Python (spec/plugins.md).
namespace plugin {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory);
Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory);
}  // namespace plugin
namespace pypi {
Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings);
Result<bool> cached(const model::Source& source, Surroundings& surroundings);
Status fetch(const model::Source& source, Surroundings& surroundings);
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}  // namespace pypi
namespace remote {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}
namespace tar {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}
namespace zip {
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings);
}

}  // namespace sluice::sources
