// The files that say which workspaces are open, as BuildStream writes them: .bst2/workspaces.yml in
// the project, and .bstproject.yaml in each workspace, which leads back to the project.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "cli/commands.h"

namespace sluice::cli {

// Where a command is: in a project, or in a workspace of one.
struct Whereabouts {
  std::string project;  // directory
  std::string element;  // whose workspace it is; "": none
};
// Where this command is. Error: "stream"/"project-not-loaded" with `what` as its message.
Result<Whereabouts> whereabouts(const Invocation& invocation, const std::string& what);
// What a command with one target works on when none is named: the element of the workspace; ""
// outside of one.
std::string default_element(const Invocation& invocation);

class WorkspacesFile {
 public:
  struct Workspace {
    std::string element;     // full name
    std::string path;        // as it is written
    std::string last_build;  // "": none
  };
  // Opens the file to change it: nobody else of Sluice does while the object lives. When the file
  // isn't there no workspace is open.
  static Result<WorkspacesFile> open(const std::string& project);
  // Reads the file: nobody is kept from changing it.
  static Result<WorkspacesFile> read(const std::string& project);

  const std::vector<Workspace>& list() const { return workspaces_; }
  Workspace* find(const std::string& element);
  std::string directory_of(const Workspace& workspace) const;
  // Adds a workspace, and writes the file in its directory, which is there.
  Status add(const std::string& element, const std::string& directory);
  Status remove(const std::string& element);
  Status save() const;

 private:
  explicit WorkspacesFile(std::string project) : project_(std::move(project)) {}
  std::string project_;
  UniqueFd lock_;
  std::vector<Workspace> workspaces_;
};

}  // namespace sluice::cli
