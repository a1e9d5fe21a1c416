// A file as it is, under the last part of its URL or another name
// (buildstream/plugins/sources/remote.py).
#include <fmt/format.h>

#include "base/truth.h"
#include "base/try.h"
#include "sources/works.h"
#include "store/directory.h"
#include "store/tree.h"

namespace sluice::sources::remote {

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  auto file = TRY(ensure_download(source, surroundings));
  store::Cas& cas = surroundings.cas();
  const std::string name =
      source.config.get_string("filename", source.url.substr(source.url.rfind('/') + 1));
  // The name was checked when it was loaded; this is the last place before it names a file.
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return source_error(source, "bad-filename",
                        fmt::format("{}'{}' is no name of a file", where(source), name));
  }
  auto root = store::import_file_as_tree(cas, file, name);
  if (!root || !is_true(source.config.get_string("executable"))) return root;
  auto tree = TRY(store::Tree::open(cas, *root));
  auto entry = TRY(tree.find(name));
  CHECK(tree.put_file(name, entry->digest, true));
  return tree.store(cas);
}

}  // namespace sluice::sources::remote
