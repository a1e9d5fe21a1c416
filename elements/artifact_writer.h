// The artifact of a build, successful or failed: the files that were collected, the root and the
// sources where build trees are kept, public data, the log, what its key was made of.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "elements/build_root.h"
#include "elements/command_runner.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "model/model.h"
#include "store/artifact.h"
#include "store/cas.h"

namespace sluice::elements {

// Refers to all it is given. One thread.
class ArtifactWriter {
 public:
  ArtifactWriter(const JobData& data, BuildRoot& root, const CommandRunner& commands,
                 store::Cas& cas, Reporter& reporter)
      : data_(data), root_(root), commands_(commands), cas_(cas), reporter_(reporter) {}

  // Public data that the artifact gets in place of the element's own.
  void set_public_data(model::Node data) { public_data_ = std::move(data); }

  // The element's environment, where that isn't its commands'.
  void set_environment(model::StringMap environment) { environment_ = std::move(environment); }

  // The directory that is collected although a command failed (script's install root); "": none.
  void collect_on_failure(std::string path) { collect_on_failure_ = std::move(path); }
  const std::string& collected_on_failure() const { return collect_on_failure_; }

  // Writes the artifact under its strong and its weak key. `collect`: a directory of the root,
  // which needn't be there; std::nullopt: an artifact without files. `failure`: why the build
  // failed; null: it didn't. Errors: those of the store.
  Result<model::ArtifactRef> write(const std::optional<std::string>& collect, const Error* failure);

  // What write() would write of the files and the metadata of a build that succeeded, as blobs of
  // the store to which no artifact refers.
  Result<store::ArtifactInfo> made(const std::optional<std::string>& collect);

 private:
  Status collect_files(store::ArtifactInfo& info, const std::string& directory);
  Status keep_build_tree(store::ArtifactInfo& info);
  Status write_meta(store::ArtifactInfo& info);

  const JobData& data_;
  BuildRoot& root_;
  const CommandRunner& commands_;
  store::Cas& cas_;
  Reporter& reporter_;
  std::optional<model::Node> public_data_;
  std::optional<model::StringMap> environment_;
  std::string collect_on_failure_;
};

}  // namespace sluice::elements
