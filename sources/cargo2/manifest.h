// Manifest is a crate's Cargo.toml. One of a workspace inherits values from that of the workspace's
// root, and Cargo wants them said where the crate stands alone.
#pragma once

#include <string>

#include "base/result.h"
#include "sources/toml.h"

namespace sluice::sources::cargo2 {

// The name of the package that a manifest describes; "" when there is none.
std::string package_name(const Toml& manifest);

// Puts what `manifest` inherits in place, from the table `workspace` of the root's manifest:
// dependencies with their features, values of the package, lints. Errors:
// "source"/"not-inherited", for what the workspace doesn't have.
Status inherit(Toml& manifest, const Toml& workspace);

}  // namespace sluice::sources::cargo2
