#include "sources/cargo2/manifest.h"

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::sources::cargo2 {

namespace {

tl::unexpected<Error> not_inherited(std::string_view what) {
  return fail("source", "not-inherited",
              fmt::format("Failed to inherit {} in crate's Cargo.toml. Value missing from "
                          "workspace's Cargo.toml.",
                          what));
}

bool inherits(const Toml& value) { return value.is_table() && value.find("workspace") != nullptr; }

// Features of both count.
Status inherit_dependencies(Toml& dependencies, const Toml& workspace) {
  for (auto& [name, details] : dependencies.entries) {
    if (!inherits(details)) continue;
    const Toml* shared = workspace.find(name);
    if (shared == nullptr) return not_inherited(fmt::format("dependency '{}'", name));
    details.remove("workspace");
    if (!shared->is_table()) {
      details.set("version", *shared);
      continue;
    }
    Toml features;
    features.kind = Toml::Kind::kArray;
    for (const Toml* from : {shared, static_cast<const Toml*>(&details)}) {
      if (const Toml* own = from->find("features"))
        features.items.insert(features.items.end(), own->items.begin(), own->items.end());
    }
    for (const auto& [key, value] : shared->entries) details.set(key, value);
    if (!features.items.empty()) details.set("features", std::move(features));
  }
  return {};
}

}  // namespace

std::string package_name(const Toml& manifest) {
  const Toml* package = manifest.find_table("package");
  const Toml* name = package != nullptr ? package->find("name") : nullptr;
  return name != nullptr ? name->text : std::string();
}

Status inherit(Toml& manifest, const Toml& workspace) {
  if (const Toml* shared = workspace.find_table("dependencies")) {
    for (const char* key : {"dependencies", "dev-dependencies", "build-dependencies"}) {
      if (Toml* dependencies = manifest.find_table(key))
        CHECK(inherit_dependencies(*dependencies, *shared));
    }
    if (Toml* targets = manifest.find_table("target")) {
      for (auto& [name, target] : targets->entries) {
        if (Toml* dependencies = target.find_table("dependencies"))
          CHECK(inherit_dependencies(*dependencies, *shared));
      }
    }
  }
  if (Toml* package = manifest.find_table("package")) {
    const Toml* shared = workspace.find_table("package");
    for (auto& [key, value] : package->entries) {
      if (!inherits(value)) continue;
      const Toml* inherited = shared != nullptr ? shared->find(key) : nullptr;
      if (inherited == nullptr) return not_inherited(fmt::format("'package.{}'", key));
      value = *inherited;
    }
  }
  const Toml* lints = manifest.find_table("lints");
  const Toml* asked = lints != nullptr ? lints->find("workspace") : nullptr;
  const Toml* shared = workspace.find("lints");
  if (asked != nullptr && asked->holds() && shared != nullptr && shared->holds())
    manifest.set("lints", *shared);
  return {};
}

}  // namespace sluice::sources::cargo2
