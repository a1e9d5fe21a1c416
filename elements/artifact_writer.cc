#include "elements/artifact_writer.h"

#include <algorithm>

#include "base/try.h"
#include "store/key_inputs.h"

namespace sluice::elements {

Status ArtifactWriter::collect_files(store::ArtifactInfo& info, const std::string& directory) {
  auto files = root_.tree().store_directory(cas_, directory);
  if (files) {
    info.files = *files;
  } else if (files.error().domain != "virtual-fs") {
    return forward(files);
  }
  return {};
}

Status ArtifactWriter::keep_build_tree(store::ArtifactInfo& info) {
  store::Tree& tree = root_.tree();
  // These directories stayed writable below a root that was not, as BuildStream notes it.
  for (const char* directory : kSandboxDirectories) {
    if (!commands_.ran_read_only()) break;
    const auto present = tree.find(directory);
    // A build that failed before its first command has not made them.
    if (!present || !present->has_value()) continue;
    CHECK(tree.set_subtree_read_only(directory, false));
  }
  info.buildroot = TRY(tree.store(cas_));
  if (const std::string build_root = data_.directory_variable("build-root"); !build_root.empty()) {
    if (auto digest = tree.directory_digest(build_root)) info.buildtree = *digest;
  }
  info.sources = TRY(root_.sources());
  // BuildStream says nothing of the sandbox of an empty root.
  if (TRY(tree.names("")).empty()) return {};
  store::ArtifactInfo::SandboxState state;
  if (commands_.is_configured()) {
    state.environment = commands_.environment();
    std::sort(state.environment.begin(), state.environment.end());
  }
  state.working_directory = commands_.work_directory();
  state.marked_directories = commands_.marked_directories();
  state.subsandboxes = root_.subsandboxes();
  info.sandbox = std::move(state);
  return {};
}

Status ArtifactWriter::write_meta(store::ArtifactInfo& info) {
  store::ArtifactMeta meta;
  meta.public_data = public_data_ ? *public_data_ : data_.body.public_data;
  meta.environment = environment_ ? *environment_ : commands_.environment();
  meta.sandbox_config = store::sandbox_config_node(data_.body.sandbox);
  meta.variables = data_.body.variables;
  return store::write_meta(cas_, meta, info);
}

Result<store::ArtifactInfo> ArtifactWriter::made(const std::optional<std::string>& collect) {
  store::ArtifactInfo info;
  if (collect) CHECK(collect_files(info, *collect));
  CHECK(write_meta(info));
  return info;
}

Result<model::ArtifactRef> ArtifactWriter::write(const std::optional<std::string>& collect,
                                                 const Error* failure) {
  Reporter::Activity activity(reporter_, "Caching artifact");
  store::ArtifactInfo info;
  info.was_workspaced = data_.workspaced();
  info.build_success = failure == nullptr;
  info.build_error = failure == nullptr ? "succeeded" : failure->message;
  info.build_error_details = failure == nullptr ? "" : failure->detail;
  info.strong_key = data_.job.keys.full;
  info.strict_key = data_.job.keys.strict;
  info.weak_key = data_.job.keys.weak;

  if (collect) CHECK(collect_files(info, *collect));
  const std::string& trees = data_.settings.cache_buildtrees;
  if (trees == "always" || (trees == "auto" && (failure != nullptr || data_.workspaced())))
    CHECK(keep_build_tree(info));
  for (const auto& dependency : data_.job.dependencies) {
    info.build_deps.push_back({dependency.project, dependency.element, dependency.key, false});
  }
  CHECK(write_meta(info));
  if (JobLog* log = reporter_.log()) {
    const model::Digest digest = TRY(cas_.add_file(log->path()));
    const auto slash = log->path().rfind('/');
    info.logs.push_back({log->path().substr(slash + 1), digest});
  }
  if (!data_.body.key_inputs.empty())
    CHECK(store::keep_key_inputs(cas_, info.strong_key, data_.body.key_inputs));
  CHECK(store::Artifacts(cas_).commit(data_.element.project, data_.element.name, info));
  activity.success();

  model::ArtifactRef ref;
  ref.project = data_.element.project;
  ref.element = data_.element.name;
  ref.full_name = data_.element.full_name;
  ref.key = info.strong_key;
  ref.weak_key = info.weak_key;
  ref.files = info.files;
  ref.public_data = info.public_data;
  ref.low_diversity_meta = info.low_diversity_meta;
  return ref;
}

}  // namespace sluice::elements
