// For the tests of remote/: a store with an artifact and sources in it, and one that has neither.
#pragma once

#include <string>

#include "remote/peer.h"
#include "store/artifact.h"
#include "store/directory.h"
#include "store/sources.h"
#include "store/test_store.h"
#include "wire/remote_protocol.h"

namespace sluice::remote::test {

using store::Digest;
using store::test::must;
using store::test::Place;
using store::test::reason;

inline const std::string kStrong(64, 'a');
inline const std::string kWeak(64, 'b');
inline const std::string kSources(64, 'c');
inline const std::string kSource(64, 'd');

// The artifact of app.bst in project "proj", with a build tree, a file of 5 MB and small ones; all
// its sources together, and one by itself.
struct Sample {
  Place place;
  store::Cas cas = place.open();
  store::ArtifactInfo info;

  explicit Sample(std::size_t large = 5'000'000) {
    std::string noise(large, '\0');
    std::uint32_t state = 12345;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    place.file("files/usr/bin/app", "#!/bin/sh\n", 0755);
    place.file("files/usr/share/noise", noise);
    place.file("files/usr/share/empty", "");
    place.link("files/usr/share/link", "noise");
    for (int i = 0; i < 60; ++i)
      place.file("files/usr/lib/" + std::to_string(i) + "/file", "file " + std::to_string(i));
    place.file("tree/app.c", "int main;");
    place.file("tree/build/app.o", "object");
    place.file("source/app.c", "int main;");
    info.build_success = true;
    info.build_error = "succeeded";
    info.strong_key = info.strict_key = kStrong;
    info.weak_key = kWeak;
    info.files = must(store::import_tree(cas, place / "files"));
    info.buildtree = must(store::import_tree(cas, place / "tree"));
    info.sources = must(store::import_tree(cas, place / "source"));
    info.logs = {{"aaaaaaaa-build.20260101-000000.log", must(cas.add("log\n"))}};
    store::ArtifactMeta meta;
    meta.public_data = model::Node::make_map();
    meta.environment = {{"PATH", "/usr/bin"}};
    meta.sandbox_config = store::sandbox_config_node({"linux", "x86-64", 0, 0});
    must(store::write_meta(cas, meta, info));
    must(store::Artifacts(cas).commit("proj", "app.bst", info));
    must(store::SourceRefs(cas).store_element(kSources, info.sources));
    must(store::SourceRefs(cas).store_source("tar", kSource, info.sources));
  }

  RemoteRequest request(std::string verb, const std::string& cachedir,
                        std::vector<RemoteSpec> remotes) const {
    RemoteRequest request;
    request.verb = std::move(verb);
    request.cachedir = cachedir;
    request.remotes = std::move(remotes);
    request.project = "proj";
    request.element = "app.bst";
    request.keys = {kStrong, kWeak};
    if (request.verb.ends_with("sources")) {
      request.keys = {kSources};
      request.sources = {{"tar", kSource}};
    }
    return request;
  }
  RemoteRequest push(std::vector<RemoteSpec> remotes) const {
    return request("push-artifact", cas.cachedir(), std::move(remotes));
  }
};

// Where things are pulled to. Its cache is made by whoever opens it first.
struct Target {
  Place place;
  std::string cachedir = place / "cache";

  store::Cas open() const { return must(store::Cas::open(cachedir)); }
  bool has_artifact(const std::string& key = kStrong) const {
    store::Cas cas = open();
    return must(store::Artifacts(cas).lookup("proj", "app.bst", key)).has_value();
  }
  // Nothing half-written: no object with another content than its name says, so many refs and no
  // blob missing to them.
  void check_sound(std::uint64_t refs) const;
};

RemoteSpec spec(std::string url, bool push = false);

}  // namespace sluice::remote::test
