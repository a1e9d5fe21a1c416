// The work of kind cargo: the crates that a Cargo.lock names, put where Cargo finds them
// (buildstream-plugins, cargo).
#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "sources/crates.h"
#include "sources/works.h"
#include "store/directory.h"

namespace sluice::sources::cargo {

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  std::vector<LockedPackage> packages = TRY(locked_packages(source, surroundings));
  std::stable_sort(packages.begin(), packages.end(),
                   [](const LockedPackage& a, const LockedPackage& b) {
                     return std::tie(a.name, a.version) < std::tie(b.name, b.version);
                   });
  // Where a crate comes from is told beside its ref.
  std::map<std::string, const model::Node*> provenance;
  for (const model::Node& entry : source.ref.list) {
    if (const model::Node* told = entry.find("provenance"))
      provenance[entry.get_string("name")] = told;
  }
  model::Node ref = model::Node::make_list();
  for (LockedPackage& package : packages) {
    if (package.checksum.empty()) {
      package.checksum =
          TRY(track_archive(source, surroundings, {package.name, package.version, {}, {}, {}, {}}));
    }
    model::Node entry =
        model::Node::make_map({{"name", model::Node::make_scalar(package.name)},
                               {"version", model::Node::make_scalar(package.version)},
                               {"sha", model::Node::make_scalar(package.checksum)}});
    if (const auto told = provenance.find(package.name); told != provenance.end())
      entry.set("provenance", *told->second);
    ref.list.push_back(std::move(entry));
  }
  return Found{std::move(ref), fmt::format("{} crates", packages.size())};
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  const std::vector<Crate> crates = crates_of(source.ref);
  return std::all_of(crates.begin(), crates.end(),
                     [&](const Crate& crate) { return has_archive(source, surroundings, crate); });
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  for (const Crate& crate : crates_of(source.ref)) {
    CHECK(surroundings.check());
    TRY(ensure_archive(source, surroundings, crate));
  }
  return {};
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const std::string directory = TRY(surroundings.directory("cargo"));
  const std::string name = source.config.get_string("vendor-dir", "crates");
  const std::string vendor = TRY(path_below(source, directory, "vendor-dir", name));
  for (const Crate& crate : crates_of(source.ref)) {
    CHECK(surroundings.check());
    CHECK(stage_crate(source, surroundings, crate, vendor));
  }
  CHECK(make_directories(directory + "/.cargo"));
  CHECK(write_file_atomic(directory + "/.cargo/config",
                          fmt::format("[source.crates-io]\n"
                                      "registry = \"{}\"\n"
                                      "replace-with = \"vendored-sources\"\n"
                                      "[source.vendored-sources]\n"
                                      "directory = \"{}\"\n",
                                      source.url, name),
                          0644));
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings.cas(), directory, options);
}

}  // namespace sluice::sources::cargo
