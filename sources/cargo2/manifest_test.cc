// Manifests of crates in workspaces, which are to stand alone.
#include "sources/cargo2/manifest.h"

#include <catch2/catch.hpp>

namespace sluice::sources::cargo2 {

namespace {

Toml table(std::string_view text) {
  auto table = read_toml(text);
  REQUIRE(table);
  return *table;
}

}  // namespace

TEST_CASE("manifest: values of the workspace take the place of what names it", "[cargo2]") {
  const Toml root = table(R"(
[workspace.package]
version = "1.2"
authors = ["A"]
[workspace.dependencies]
plain = "3"
full = {version = "4", features = ["x"], default-features = false}
none = {path = "none"}
[workspace.lints.rust]
unsafe_code = "forbid"
)");
  Toml manifest = table(R"(
[package]
name = "c"
version.workspace = true
authors = {workspace = true}
[dependencies]
plain.workspace = true
full = {workspace = true, features = ["y"], optional = true}
other = "1"
[dev-dependencies]
none.workspace = true
[target.'cfg(unix)'.dependencies]
plain = {workspace = true, optional = true}
[target.'cfg(unix)'.dev-dependencies]
plain = {workspace = true}
[lints]
workspace = true
)");
  REQUIRE(inherit(manifest, *root.find("workspace")));
  CHECK(package_name(manifest) == "c");
  CHECK(write_toml(manifest) == R"toml([package]
name = "c"
version = "1.2"
authors = ["A"]

[dependencies]
other = "1"

[dependencies.plain]
version = "3"

[dependencies.full]
features = ["x", "y"]
optional = true
version = "4"
default-features = false

[dev-dependencies.none]
path = "none"

[target."cfg(unix)".dependencies.plain]
optional = true
version = "3"

[target."cfg(unix)".dev-dependencies.plain]
workspace = true

[lints.rust]
unsafe_code = "forbid"
)toml");
}

TEST_CASE("manifest: what the workspace lacks is an error that names it", "[cargo2]") {
  const Toml root = table("[workspace]\ndependencies = {a = '1'}\n");
  Toml dependency = table("[package]\nname = 'c'\n[dependencies]\nb.workspace = true\n");
  auto done = inherit(dependency, *root.find("workspace"));
  REQUIRE_FALSE(done);
  CHECK(done.error().reason == "not-inherited");
  CHECK(done.error().message.starts_with("Failed to inherit dependency 'b'"));
  Toml package = table("[package]\nname = 'c'\nedition.workspace = true\n");
  done = inherit(package, *root.find("workspace"));
  REQUIRE_FALSE(done);
  CHECK(done.error().message.starts_with("Failed to inherit 'package.edition'"));
}

}  // namespace sluice::sources::cargo2
