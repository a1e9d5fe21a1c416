// Include directives, `(@)`: a file or a list of files whose maps lie below the map that
// names them. Paths are relative to the project. Each file is read and parsed once in a
// load, whoever includes it.
//
// Errors: load/recursive-include, load/missing-file and what parsing gives, at the include.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/options.h"
#include "loader/tree.h"

namespace sluice::loader {

class Includes {
 public:
  // Included trees live in `arena`. Files are named in errors as the directive names them.
  Includes(Arena& arena, std::string directory) : arena_(&arena), directory_(std::move(directory)) {}

  // Resolves every include in `node`, in place. With `options`, conditionals are
  // evaluated too: those of `node` first, those of included files before they are laid
  // below.
  Status process(Arena& arena, Node& node, const Options* options);

  // Every file read so far, by the path opened.
  const std::unordered_map<std::string, Node*>& loaded() const { return loaded_; }

 private:
  Status process_tree(Arena& arena, Node& node, const Options* options);
  Status process_node(Arena& arena, Node& node, const Options* options);
  Status process_value(Arena& arena, Node& value, const Options* options);
  Result<Node*> load(const Node& include, std::string& path);

  Arena* arena_;
  std::string directory_;
  std::unordered_map<std::string, Node*> loaded_;
  std::vector<std::unique_ptr<File>> files_;
  std::vector<std::string> active_;
  std::size_t expansions_ = 0;
};

}  // namespace sluice::loader
