// The directories that one batch of commands may write below a root that is read-only: those that
// the element marked, and the root's own /tmp. spec/sandbox.md sections 3 and 5.
//
// They lie in the scratch. The root that is realised must not depend on their names, or every
// element would realise one of its own: it only gets the first component that it lacks
// ("/buildstream"), on which a skeleton with the rest is bound, and on that the directory itself.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"
#include "sandbox/scratch.h"
#include "store/cas.h"
#include "store/directory.h"
#include "store/tree.h"

namespace sluice::elements {

// Refers to all it is given. `batch` tells the scratch directories of one batch of commands from
// those of the next.
class WritableDirectories {
 public:
  WritableDirectories(store::Cas& cas, sandbox::Scratch& scratch, unsigned batch)
      : cas_(cas), scratch_(scratch), batch_(batch) {}

  // Copies the marked directories out of `root`, takes them out of it, and adds to `run` the mounts
  // that put them in their places. `directory` is where commands begin; it is made.
  // run.own_temporary says whether /tmp of the root is seen. All paths are as normal_root_path()
  // gives them.
  Status prepare(store::Tree& root, std::vector<std::string> marked, const std::string& directory,
                 sandbox::SandboxRun& run);

  // Puts back into `root` what the commands made of them, when every process of the sandbox is
  // gone: the files are taken, not copied. Directories of which `dropped` says so come back empty.
  Status capture(store::Tree& root, store::ImportOptions options,
                 const std::function<bool(std::string_view path)>& dropped);

 private:
  struct Directory {
    std::string path;    // in the sandbox
    std::string source;  // on disk
  };
  bool holds(std::string_view path) const;
  Status copy_marked(store::Tree& root, std::vector<std::string> marked,
                     const std::string& directory);
  Status copy_temporary(store::Tree& root, const std::string& directory, sandbox::SandboxRun& run);
  Result<std::vector<std::string>> take_out(store::Tree& root, bool temporary_copied);
  Status mount_skeletons(store::Tree& root, const std::vector<std::string>& tops,
                         const std::string& directory, sandbox::SandboxRun& run);

  store::Cas& cas_;
  sandbox::Scratch& scratch_;
  unsigned batch_;
  std::vector<Directory> directories_;  // none lies in another one
};

// Gives a directory of the scratch the time that all files of roots have.
void fix_directory_time(const std::string& path);

}  // namespace sluice::elements
