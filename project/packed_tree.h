// Trees as bytes, a third of their size: how the loader keeps what isn't worked on just now, in
// memory and (of one file) in the parse cache.
//
// Each node is a byte of kind and flags, how far its line is from that of the node before, its
// column, and a text or a number of items or entries; numbers are as short as they can be. A node
// of another file than the one before says so with a pointer, which only this process can read.
#pragma once

#include <string>
#include <string_view>

#include "project/yaml.h"

namespace sluice::project {

// Appends a tree to `out`. `file` is that of most nodes.
void pack_tree(std::string& out, const Node& root, const File* file);

// Whether a pointer to a file is taken from the bytes. kTaken is only for bytes that pack_tree()
// gave this process.
enum class OtherFiles { kRefused, kTaken };

// The tree that was packed; nullptr when the bytes are none. Texts are views into `packed`, which
// must outlive the tree.
Node* unpack_tree(Arena& arena, std::string_view packed, const File* file, OtherFiles others);

}  // namespace sluice::project
