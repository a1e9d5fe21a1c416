// Which files of a local source are other ones than when it was built.
#pragma once

#include <string>
#include <vector>

#include "store/cas.h"

namespace sluice::cli {

struct ChangedFiles {
  struct File {
    std::string path;  // in the source
    std::string how;   // added | removed | changed
  };
  std::vector<File> files;  // by name
  bool more = false;        // there are others
};

// Compares the directory (or single file) at `path` with the tree whose root has the hash `before`.
// Nothing when the store doesn't have it any more, or something can't be read: this only helps. At
// most `limit` files.
ChangedFiles changed_files(const store::Cas& cas, const std::string& before,
                           const std::string& path, std::size_t limit);

}  // namespace sluice::cli
