#include "loader/store_access.h"

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/try.h"
#include "store/artifact.h"
#include "store/complete.h"
#include "store/realise.h"
#include "store/sources.h"
#include "store/tree.h"

namespace sluice::loader {

Result<model::Digest> StoreAccess::digest(const std::string& path) {
  {
    // Whether an earlier answer still holds is asked first, and has the source looked at; what it
    // was then holds for the answer that is made now.
    const std::lock_guard lock(mutex_);
    if (const auto found = found_.find(path); found != found_.end()) return found->second;
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path);
  const bool directory = S_ISDIR(info.st_mode);
  auto digest = digests_.digest(
      path, [&](const model::Digest& root) { return !import_ || is_whole(root); },
      [&](KnownFiles* known) -> Result<model::Digest> {
        if (import_) {
          const std::lock_guard lock(mutex_);
          return import(path, directory, known);
        }
        if (directory) return store::hash_tree(path, {.known = known});
        return store::hash_file_as_tree(path, path.substr(path.rfind('/') + 1));
      });
  if (digest) {
    const std::lock_guard lock(mutex_);
    found_.emplace(path, *digest);
  }
  return digest;
}

Result<model::Digest> StoreAccess::workspace_digest(const std::string& path) {
  CHECK(open());
  const model::Digest with_time = TRY(digests_.by_files(
      path, [&](KnownFiles* known) { return import_known(path, {.mtime = true}, known); }));
  store::Tree tree(*cas_);
  CHECK(tree.merge(with_time, ""));
  return import_ ? tree.store(*cas_) : tree.digest();
}

Result<std::string> StoreAccess::find_artifact(const std::string& project,
                                               const std::string& element, const model::Keys& keys,
                                               Failures failures) {
  CHECK(open());
  const store::Artifacts artifacts(*cas_);
  for (const std::string& key : {keys.strict, keys.weak}) {
    if (key.empty()) continue;
    if (auto found = TRY(artifacts.lookup(project, element, key))) {
      const bool taken =
          found->build_success || failures == Failures::kAll ||
          (failures == Failures::kOfTheSameDependencies && found->strong_key == keys.strict);
      if (!taken) continue;
      // An artifact that only its weak key still names can't be used under the other.
      if (found->strong_key == key || TRY(artifacts.lookup(project, element, found->strong_key)))
        return found->strong_key;
    }
  }
  return std::string();
}

Result<std::vector<store::NamedArtifact>> StoreAccess::named_artifacts(
    const wire::LoadArguments& arguments, std::vector<std::string>& unknown,
    std::vector<std::string>& warnings) {
  CHECK(open());
  const store::Artifacts artifacts(*cas_);
  const bool build = arguments.what.deps == "build";
  if (arguments.what.deps == "all" || arguments.what.deps == "run") {
    return fail(
        "stream", "deps-not-supported",
        fmt::format("Error: '--deps {}' is not supported for artifact names", arguments.what.deps));
  }
  if (build && arguments.wanted.accept_needs && !arguments.what.artifacts_tried) {
    std::vector<store::NamedArtifact> lacking =
        TRY(store::resolve_names(artifacts, arguments.what.artifacts, false, warnings));
    std::erase_if(lacking, [](const auto& one) { return one.artifact.has_value(); });
    for (const auto& one : lacking) unknown.push_back(one.ref);
    if (!lacking.empty()) return lacking;
    warnings.clear();
  }
  return store::resolve_names(artifacts, arguments.what.artifacts, build, warnings);
}

Result<bool> StoreAccess::stage(const ResolvedElement& junction, const std::string& directory) {
  CHECK(open());
  std::optional<model::Digest> root =
      TRY(store::SourceRefs(*cas_).lookup_element(junction.sources_key));
  if (!root && junction.sources_local) {
    store::Tree tree(*cas_);
    for (const model::Source& source : junction.body->sources) {
      struct stat info {};
      if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
      CHECK(tree.merge(TRY(import(source.path, S_ISDIR(info.st_mode), nullptr)), source.directory));
    }
    root = TRY(tree.store(*cas_));
  }
  if (!root) return false;
  CHECK(store::checkout(*cas_, *root, directory));
  return true;
}

Status StoreAccess::open() {
  if (!cas_) cas_.emplace(TRY(store::Cas::open(cachedir_)));
  return {};
}

// What an earlier load put into the store may have been removed since.
bool StoreAccess::is_whole(const model::Digest& root) {
  const std::lock_guard lock(mutex_);
  return open() && store::tree_is_whole(*cas_, root);
}

Result<model::Digest> StoreAccess::import_known(const std::string& path,
                                                store::ImportOptions options, KnownFiles* known) {
  std::optional<store::Completeness> complete;
  options.known = known;
  if (known != nullptr && known->earlier())
    options.present = complete.emplace(*cas_).presence(*known->earlier());
  return store::import_tree(*cas_, path, options);
}

Result<model::Digest> StoreAccess::import(const std::string& path, bool directory,
                                          KnownFiles* known) {
  CHECK(open());
  if (directory) return import_known(path, {}, known);
  return store::import_file_as_tree(*cas_, path, path.substr(path.rfind('/') + 1));
}

}  // namespace sluice::loader
