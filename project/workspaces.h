// Open workspaces: directories that take the place of an element's sources, as BuildStream
// keeps them in .bst2/workspaces.yml of the toplevel project (buildstream/_workspaces.py).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "project/yaml.h"

namespace sluice::project {

class Lookups;

struct Workspace {
  std::string path;        // absolute
  std::string last_build;  // key of the last build in it; "" for none
};

class Workspaces {
 public:
  // Reads the workspaces of the toplevel project, which is in `directory`. Without the file none
  // are open. load/invalid-data when it is damaged or of another version.
  static Result<Workspaces> load(Lookups& lookups, const std::string& directory);

  // The workspace of an element by its full name; nullptr when none is open.
  const Workspace* find(std::string_view element) const;

 private:
  std::map<std::string, Workspace, std::less<>> open_;
};

// What .bstproject.yaml in a workspace says: the project that it was opened from, and the element.
// Errors: load/invalid-data.
struct WorkspaceOrigin {
  std::string project;
  std::string element;
};
Result<WorkspaceOrigin> read_workspace_origin(Lookups& lookups, const std::string& file);

}  // namespace sluice::project
