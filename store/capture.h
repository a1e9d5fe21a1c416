// Capturing what a build wrote, from disk into the store, as BuildStream does: of a file's mode
// only "its owner may execute" is kept (setuid, setgid, sticky, owners and times are dropped);
// symbolic links as written; sockets, devices and FIFOs as for import_tree(). Directories and files
// that their owner can't read are made readable first, since they are ours.
#pragma once

#include <string>

#include "base/result.h"
#include "store/directory.h"

namespace sluice::store {

// Captures the tree below `path`. "virtual-fs"/"not-found" when there is none.
Result<Digest> capture(Cas& cas, const std::string& path, const ImportOptions& options = {});

// Captures the tree `lower` as changed by an overlay's upper directory: whiteouts (a character
// device 0/0, or a file with the xattr overlay.whiteout), opaque directories (xattr
// trusted.overlay.opaque or user.overlay.opaque "y"). Takes as long as the upper directory is
// large. The overlay must be mounted without redirect_dir and metacopy: "virtual-fs",
// "bad-overlay".
Result<Digest> capture_overlay(Cas& cas, const Digest& lower, const std::string& upper,
                               const ImportOptions& options = {});

}  // namespace sluice::store
