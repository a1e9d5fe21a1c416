#include "cli/last_builds.h"

#include "base/file.h"
#include "base/try.h"
#include "cli/workspaces_file.h"
#include "model/actions.h"

namespace sluice::cli {

void LastBuilds::begin(const std::string& project) {
  if (!project.empty() && path_exists(project + "/.bst2/workspaces.yml")) project_ = project;
}

void LastBuilds::record(const wire::Event& event) {
  if (!wanted() || event.type != "job.finished" || !event.element || !event.job) return;
  // A build with another outcome leaves no artifact to go on from.
  const bool built = event.outcome == "success" || event.outcome == "failure";
  if (!built || model::named<model::Action>(event.job->action) != model::Action::kBuild ||
      event.element->key.empty())
    return;
  keys_[event.element->name] = event.element->key;
}

Status LastBuilds::save() const {
  if (!wanted() || keys_.empty()) return {};
  WorkspacesFile workspaces = TRY(WorkspacesFile::open(project_));
  bool any = false;
  for (const auto& [element, key] : keys_) {
    auto* workspace = workspaces.find(element);
    if (workspace == nullptr || workspace->last_build == key) continue;
    workspace->last_build = key;
    any = true;
  }
  return any ? workspaces.save() : Status();
}

}  // namespace sluice::cli
