#include "store/artifact.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "store.pb.h"
#include "store/directory.h"
#include "store/key_inputs.h"
#include "store/pb.h"
#include "store/refs.h"

namespace sluice::store {

namespace {

constexpr char kRefs[] = "artifacts/refs/";

void put(const Digest& digest, pb::Digest* (pb::Artifact::*field)(), pb::Artifact& message) {
  if (!digest.empty()) to_pb(digest, (message.*field)());
}

std::string encode(const ArtifactInfo& info) {
  pb::Artifact message;
  message.set_version(info.version);
  message.set_build_success(info.build_success);
  message.set_build_error(info.build_error);
  message.set_build_error_details(info.build_error_details);
  message.set_strong_key(info.strong_key);
  message.set_strict_key(info.strict_key);
  message.set_weak_key(info.weak_key);
  message.set_was_workspaced(info.was_workspaced);
  put(info.files, &pb::Artifact::mutable_files, message);
  put(info.buildtree, &pb::Artifact::mutable_buildtree, message);
  put(info.sources, &pb::Artifact::mutable_sources, message);
  put(info.buildroot, &pb::Artifact::mutable_buildroot, message);
  put(info.public_data, &pb::Artifact::mutable_public_data, message);
  put(info.low_diversity_meta, &pb::Artifact::mutable_low_diversity_meta, message);
  put(info.high_diversity_meta, &pb::Artifact::mutable_high_diversity_meta, message);
  for (const auto& dependency : info.build_deps) {
    auto* node = message.add_build_deps();
    node->set_project_name(dependency.project);
    node->set_element_name(dependency.element);
    node->set_cache_key(dependency.key);
    node->set_was_workspaced(dependency.was_workspaced);
  }
  for (const auto& log : info.logs) {
    auto* node = message.add_logs();
    node->set_name(log.name);
    to_pb(log.digest, node->mutable_digest());
  }
  if (info.sandbox) {
    auto* sandbox = message.mutable_buildsandbox();
    model::StringMap environment = info.sandbox->environment;
    std::sort(environment.begin(), environment.end());
    for (const auto& [name, value] : environment) {
      auto* variable = sandbox->add_environment();
      variable->set_name(name);
      variable->set_value(value);
    }
    sandbox->set_working_directory(info.sandbox->working_directory);
    for (const Digest& digest : info.sandbox->subsandboxes)
      to_pb(digest, sandbox->add_subsandbox_digests());
    for (const std::string& directory : info.sandbox->marked_directories)
      sandbox->add_marked_directories(directory);
  }
  return message.SerializeAsString();
}

// Decodes a message; std::nullopt for what is no Artifact message, or refers to what can't be a
// digest.
std::optional<ArtifactInfo> decode(const std::string& bytes) {
  pb::Artifact message;
  if (!message.ParseFromString(bytes)) return std::nullopt;
  ArtifactInfo info;
  info.version = message.version();
  info.build_success = message.build_success();
  info.build_error = message.build_error();
  info.build_error_details = message.build_error_details();
  info.strong_key = message.strong_key();
  info.strict_key = message.strict_key();
  info.weak_key = message.weak_key();
  info.was_workspaced = message.was_workspaced();
  bool good = true;
  const auto get = [&good](bool present, const pb::Digest& digest) {
    if (!present) return Digest{};
    Digest found = from_pb(digest);
    good = good && valid_digest(found);
    return found;
  };
  info.files = get(message.has_files(), message.files());
  info.buildtree = get(message.has_buildtree(), message.buildtree());
  info.sources = get(message.has_sources(), message.sources());
  info.buildroot = get(message.has_buildroot(), message.buildroot());
  info.public_data = get(message.has_public_data(), message.public_data());
  info.low_diversity_meta = get(message.has_low_diversity_meta(), message.low_diversity_meta());
  info.high_diversity_meta = get(message.has_high_diversity_meta(), message.high_diversity_meta());
  for (const auto& node : message.build_deps()) {
    info.build_deps.push_back(
        {node.project_name(), node.element_name(), node.cache_key(), node.was_workspaced()});
  }
  for (const auto& node : message.logs())
    info.logs.push_back({node.name(), get(true, node.digest())});
  if (message.has_buildsandbox()) {
    const auto& node = message.buildsandbox();
    ArtifactInfo::SandboxState sandbox;
    for (const auto& variable : node.environment())
      sandbox.environment.emplace_back(variable.name(), variable.value());
    sandbox.working_directory = node.working_directory();
    for (const auto& digest : node.subsandbox_digests())
      sandbox.subsandboxes.push_back(get(true, digest));
    for (const auto& directory : node.marked_directories())
      sandbox.marked_directories.push_back(directory);
    info.sandbox = std::move(sandbox);
  }
  if (!good || info.version < 1) return std::nullopt;
  return info;
}

Result<std::string> checked_path(std::string_view ref) {
  std::size_t parts = 1;
  std::string_view rest = ref;
  while (true) {
    const std::size_t slash = rest.find('/');
    if (!valid_entry_name(rest.substr(0, slash))) break;
    if (slash == std::string_view::npos) {
      if (parts == 3) return std::string(kRefs) + std::string(ref);
      break;
    }
    rest = rest.substr(slash + 1);
    ++parts;
  }
  return fail("artifact", "bad-artifact", fmt::format("'{}' is not the name of an artifact", ref));
}

Result<std::optional<std::string>> read_bytes(const Cas& cas, std::string_view ref) {
  auto path = TRY(checked_path(ref));
  auto bytes = read_ref(cas, path);
  // A ref's time is its order of use, as BuildStream keeps it.
  if (bytes && *bytes) ::utimensat(AT_FDCWD, (cas.cachedir() + "/" + path).c_str(), nullptr, 0);
  return bytes;
}

}  // namespace

Result<ArtifactInfo> decode_artifact(const std::string& bytes) {
  auto info = decode(bytes);
  if (!info)
    return fail("artifact", "bad-artifact",
                fmt::format("{} bytes that are not an Artifact message", bytes.size()));
  return std::move(*info);
}

Artifacts::Artifacts(Cas& cas, Completeness* complete) : cas_(cas), complete_(complete) {}

Result<std::optional<ArtifactInfo>> Artifacts::read(std::string_view project,
                                                    std::string_view element,
                                                    std::string_view key) const {
  const std::string ref = artifact_ref(project, element, key);
  auto bytes = TRY(read_bytes(cas_, ref));
  if (!bytes) return std::nullopt;
  auto info = decode(*bytes);
  if (!info)
    return fail("artifact", "bad-artifact",
                fmt::format("The ref {} does not hold an artifact", ref));
  return info;
}

Result<std::optional<ArtifactInfo>> Artifacts::lookup(std::string_view project,
                                                      std::string_view element,
                                                      std::string_view key) const {
  return lookup_ref(artifact_ref(project, element, key));
}

Result<std::optional<ArtifactInfo>> Artifacts::lookup_ref(std::string_view ref) const {
  auto bytes = TRY(read_bytes(cas_, ref));
  if (!bytes) return std::nullopt;
  auto info = decode(*bytes);
  if (!info || !missing(*info).empty()) return std::nullopt;
  return info;
}

Result<std::optional<ArtifactInfo>> Artifacts::peek(std::string_view ref) const {
  auto path = TRY(checked_path(ref));
  auto bytes = TRY(read_ref(cas_, path));
  if (!bytes) return std::nullopt;
  return decode(*bytes);
}

bool Artifacts::tree_complete(const Digest& root) const {
  if (complete_ != nullptr) return complete_->tree(root);
  return tree_is_whole(cas_, root);
}

std::vector<Digest> Artifacts::missing(const ArtifactInfo& artifact) const {
  std::vector<Digest> found;
  if (!artifact.files.empty() && !tree_complete(artifact.files)) found.push_back(artifact.files);
  // BuildStream asks for these whether the message has them or not.
  for (const Digest* digest :
       {&artifact.low_diversity_meta, &artifact.high_diversity_meta, &artifact.public_data}) {
    if (!cas_.touch(*digest)) found.push_back(*digest);
  }
  for (const auto& log : artifact.logs) {
    if (!cas_.touch(log.digest)) found.push_back(log.digest);
  }
  return found;
}

Status Artifacts::commit(std::string_view project, std::string_view element,
                         const ArtifactInfo& artifact) {
  if (!valid_key(artifact.strong_key) || !valid_key(artifact.weak_key) ||
      !valid_key(artifact.strict_key)) {
    return fail("artifact", "bad-artifact",
                fmt::format("The artifact of {} has no valid keys", element));
  }
  std::vector<Digest> absent = missing(artifact);
  for (const Digest* root : {&artifact.buildtree, &artifact.sources, &artifact.buildroot}) {
    if (!root->empty() && !tree_complete(*root)) absent.push_back(*root);
  }
  if (artifact.sandbox) {
    for (const Digest& root : artifact.sandbox->subsandboxes) {
      if (!tree_complete(root)) absent.push_back(root);
    }
  }
  if (!absent.empty()) {
    return fail("cas", "missing-blob",
                fmt::format("The artifact of {} refers to {}, which is not wholly in the store",
                            element, absent.front().empty() ? "no metadata" : absent.front().hash));
  }
  const std::string bytes = encode(artifact);
  for (const std::string* key : {&artifact.weak_key, &artifact.strong_key}) {
    if (key == &artifact.weak_key && artifact.weak_key == artifact.strong_key) continue;
    auto path = TRY(checked_path(artifact_ref(project, element, *key)));
    CHECK(write_ref(cas_, path, bytes));
  }
  return {};
}

Result<std::optional<std::string>> Artifacts::message(std::string_view ref) const {
  return read_bytes(cas_, ref);
}

Status Artifacts::adopt(std::string_view ref, const std::string& bytes, bool all_keys) {
  auto path = TRY(checked_path(ref));
  auto info = TRY(decode_artifact(bytes));
  const std::string_view key = ref.substr(ref.rfind('/') + 1);
  if (!valid_key(key) || (key != info.strong_key && key != info.weak_key)) {
    return fail("artifact", "bad-artifact",
                fmt::format("What is to be {} is the artifact of other keys", ref));
  }
  if (const std::vector<Digest> absent = missing(info); !absent.empty()) {
    return fail("cas", "missing-blob",
                fmt::format("The artifact {} refers to {}, which is not wholly in the store", ref,
                            absent.front().empty() ? "no metadata" : absent.front().hash));
  }
  const std::string place = path.substr(0, path.rfind('/') + 1);
  for (const std::string* each : {&info.weak_key, &info.strong_key}) {
    if (each == &info.weak_key && info.weak_key == info.strong_key) continue;
    if (*each != key && (!all_keys || !valid_key(*each))) continue;
    CHECK(write_ref(cas_, place + *each, bytes));
  }
  return {};
}

Result<std::vector<std::string>> Artifacts::list() const {
  auto found = TRY(list_refs(cas_, "artifacts/refs", 2));
  std::vector<std::string> refs;
  refs.reserve(found.size());
  for (RefFile& file : found) refs.push_back(std::move(file.path));
  return refs;
}

Result<std::vector<std::string>> Artifacts::list_of(std::string_view project,
                                                    std::string_view element) const {
  const std::string place = artifact_ref(project, element, "");
  auto checked = TRY(checked_path(place + std::string(64, '0')));
  auto found = TRY(list_refs(cas_, checked.substr(0, checked.rfind('/')), 0));
  std::vector<std::string> refs;
  for (const RefFile& file : found) refs.push_back(place + file.path);
  return refs;
}

Status Artifacts::remove(std::string_view ref) {
  auto path = TRY(checked_path(ref));
  const std::string full = cas_.cachedir() + "/" + path;
  drop_key_inputs(cas_, ref.substr(ref.rfind('/') + 1));
  if (::unlink(full.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, full);
  // Directories that are empty now go, too.
  for (std::size_t slash = full.find_last_of('/'), level = 0; level < 2; ++level) {
    if (::rmdir(full.substr(0, slash).c_str()) != 0) break;
    slash = full.find_last_of('/', slash - 1);
  }
  return {};
}

}  // namespace sluice::store
