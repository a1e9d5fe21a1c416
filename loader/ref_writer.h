// Writes new refs of sources into the project's files: .bst files and what they include, or
// project.refs and junction.refs. A file is changed only while it is the one that was loaded
// (compare and swap on its SHA-256), and only in the bytes of its refs (yaml/splice.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/messages.h"

namespace sluice::loader {

// Writes the refs, and says what happened to each file, in the order of `edits`. What has the
// wanted refs already is left as it is, so asking twice does no harm. The first error ends it; the
// result has the files that were written before.
wire::WriteRefsResult write_refs(const std::vector<wire::RefEdit>& edits);

}  // namespace sluice::loader
