// Artifacts are what builds leave, kept as BuildStream 2.8 keeps them.
//
//   CACHEDIR/artifacts/refs/PROJECT/ELEMENT/KEY   a buildstream.v2.Artifact message
//
// once under its strong and once under its weak key. PROJECT/ELEMENT/KEY is model::artifact_ref().
// Public data, environment, sandbox
// configuration and variables are YAML blobs that the message refers to.
//
// Errors: domain "artifact"; reasons "bad-artifact", "missing-artifact" and those of the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "model/names.h"
#include "store/cas.h"
#include "store/complete.h"

namespace sluice::store {

struct ArtifactInfo {
  struct Dependency {
    std::string project;
    std::string element;  // "base/zlib.bst"
    std::string key;
    bool was_workspaced = false;
  };
  struct Log {
    std::string name;  // file name, "1234abcd-build.20261122-114114.log"
    Digest digest;
  };
  // The sandbox of the build as it was set up, for a shell into it.
  struct SandboxState {
    model::StringMap environment;
    std::string working_directory;
    std::vector<Digest> subsandboxes;
    std::vector<std::string> marked_directories;
  };

  std::int32_t version = 2;
  bool build_success = false;
  std::string build_error;  // "succeeded", or what failed, in one line
  std::string build_error_details;
  std::string strong_key;
  std::string strict_key;
  std::string weak_key;
  bool was_workspaced = false;
  // A digest that is empty() says that there is no such tree. An empty directory is empty_digest(),
  // which is not empty().
  Digest files;
  Digest buildtree;
  Digest sources;
  Digest buildroot;
  Digest public_data;
  Digest low_diversity_meta;           // environment and sandbox configuration
  Digest high_diversity_meta;          // variables
  std::vector<Dependency> build_deps;  // in BuildStream's staging order of build dependencies
  std::vector<Log> logs;
  std::optional<SandboxState> sandbox;
};

using model::artifact_ref;

// Decodes an Artifact message. "bad-artifact" when the bytes are none, or refer to what can't be a
// digest.
Result<ArtifactInfo> decode_artifact(const std::string& bytes);

// The artifacts of one store. Refers to `cas`, which must outlive it. Const methods may be called
// from any thread.
class Artifacts {
 public:
  // `complete` remembers which trees are whole; without it every call looks anew.
  explicit Artifacts(Cas& cas, Completeness* complete = nullptr);

  // The artifact of a ref, whether its blobs are there or not; std::nullopt when there is no such
  // ref. A ref that can't be parsed is an error ("bad-artifact"). Renews the ref's modification
  // time, which is BuildStream's order of use.
  Result<std::optional<ArtifactInfo>> read(std::string_view project, std::string_view element,
                                           std::string_view key) const;

  // The artifact when it is cached in BuildStream's sense: the files' tree with all its blobs,
  // public data, both metas and logs are there. Otherwise, and when the ref can't be parsed,
  // std::nullopt. buildtree and buildroot may be absent (see buildtree_complete()).
  Result<std::optional<ArtifactInfo>> lookup(std::string_view project, std::string_view element,
                                             std::string_view key) const;
  // The same by a ref "PROJECT/ELEMENT/KEY".
  Result<std::optional<ArtifactInfo>> lookup_ref(std::string_view ref) const;
  // Reads as read(), by a ref and without renewing it; std::nullopt also when it can't be parsed.
  Result<std::optional<ArtifactInfo>> peek(std::string_view ref) const;
  // The blobs that an artifact lacks to be complete, for reports and the checker.
  std::vector<Digest> missing(const ArtifactInfo& artifact) const;
  // Whether all blobs of a tree are there.
  bool tree_complete(const Digest& root) const;

  // Writes the refs under the strong and the weak key, after checking that every blob that is
  // referred to is there ("missing-blob" otherwise: a caller's bug or a concurrent expiry, nothing
  // is written then). Each ref is replaced atomically, that under the strong key last: where it is,
  // the other is too, whenever the writer was killed. So does adopt().
  Status commit(std::string_view project, std::string_view element, const ArtifactInfo& artifact);
  // The bytes of a ref's message, whose digest is what caches elsewhere know the artifact by;
  // std::nullopt when there is no such ref.
  Result<std::optional<std::string>> message(std::string_view ref) const;
  // Takes a message that comes from elsewhere, as it is, under `ref`, whose key must be one of the
  // artifact's ("bad-artifact"), and under its other keys when `all_keys`. What missing() asks for
  // must be there ("missing-blob"); buildtree, sources and buildroot needn't.
  Status adopt(std::string_view ref, const std::string& bytes, bool all_keys);
  // "PROJECT/ELEMENT/KEY" of all refs, least recently used first.
  Result<std::vector<std::string>> list() const;
  // The refs of one element, least recently used first. Elements whose names come to the same in
  // refs share them.
  Result<std::vector<std::string>> list_of(std::string_view project,
                                           std::string_view element) const;
  Status remove(std::string_view ref);

 private:
  Cas& cas_;
  Completeness* complete_;
};

// The YAML blobs of an artifact.
struct ArtifactMeta {
  model::Node public_data;  // a map
  model::StringMap environment;
  // As sandbox_config_node() gives it: build-os, build-arch, build-uid, build-gid and others.
  model::Node sandbox_config;
  model::StringMap variables;
};

// Stores the blobs of `meta` and fills public_data, low_diversity_meta and high_diversity_meta of
// `artifact`.
Status write_meta(Cas& cas, const ArtifactMeta& meta, ArtifactInfo& artifact);
Result<ArtifactMeta> read_meta(const Cas& cas, const ArtifactInfo& artifact);
Result<model::Node> read_public_data(const Cas& cas, const Digest& digest);

// The sandbox configuration in BuildStream's form, with uid and gid only when they were set.
model::Node sandbox_config_node(const model::Sandbox& sandbox);

}  // namespace sluice::store
