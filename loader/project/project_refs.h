// project.refs and junction.refs: the refs of sources in a file of their own, for projects
// with `ref-storage: project.refs` (buildstream/_projectrefs.py).
//
//   projects:
//     NAME:
//       element.bst:
//       - ref: ...   # by the source's place in the element
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/project/options.h"
#include "loader/yaml.h"

namespace sluice::project {
class Lookups;
}

namespace sluice::loader {

class ProjectRefs {
 public:
  // Reads the file, and evaluates its conditionals. A file that isn't there is as good as an empty
  // one.
  Status load(Lookups& lookups, Arena& arena, const std::string& path, const std::string& display,
              const Options& options);

  // The map with the ref of one source; nullptr when there is none. load/invalid-data when
  // something else stands there.
  Result<const Node*> find(std::string_view project, std::string_view element,
                           std::size_t source) const;

 private:
  std::unique_ptr<File> file_;
  const Node* projects_ = nullptr;
};

}  // namespace sluice::loader
