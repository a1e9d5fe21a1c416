#include "loader/snapshot_request.h"

#include <mutex>
#include <optional>
#include <unordered_map>

#include <malloc.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "loader/cache/local_cache.h"
#include "loader/cache/snapshot_cache.h"
#include "loader/elements/artifact_elements.h"
#include "loader/loader.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "store/artifact.h"
#include "store/artifact_names.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/directory.h"
#include "store/realise.h"
#include "store/sources.h"
#include "store/space.h"
#include "store/tree.h"
#include "wire/snapshot.h"

namespace sluice::loader {

namespace {

constexpr std::uint32_t kMany = 20'000;

// What `arguments.what.artifacts` mean. Those whose build dependencies are asked for and not known:
// `unknown`.
Result<std::vector<store::NamedArtifact>> resolve_artifacts(const wire::LoadArguments& arguments,
                                                            store::Cas& cas,
                                                            std::vector<std::string>& unknown,
                                                            std::vector<std::string>& warnings) {
  const store::Artifacts artifacts(cas);
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

// Enters local sources into the store, or only hashes them.
class LocalSources {
 public:
  LocalSources(bool import, std::string cachedir, const std::string& project)
      : import_(import), cachedir_(std::move(cachedir)), known_(project) {}

  // By several threads at a time; the store's files are entered by one of them.
  Result<model::Digest> digest(const std::string& path) {
    // The question whether an earlier answer still holds has it looked at; what it was then holds
    // for this answer.
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = found_.find(path); found != found_.end()) return found->second;
    }
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    const bool directory = S_ISDIR(info.st_mode);
    auto digest = known_.digest(
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

  // What was hashed, for the next load.
  void save() { known_.save(); }

  // As BuildStream imports it: with the times of everything but the directory itself.
  Result<model::Digest> workspace_digest(const std::string& path) {
    CHECK(open());
    const model::Digest with_time = TRY(known_.by_files(
        path, [&](KnownFiles* known) { return import_known(path, {.mtime = true}, known); }));
    store::Tree tree(*cas_);
    CHECK(tree.merge(with_time, ""));
    return import_ ? tree.store(*cas_) : tree.digest();
  }

  // What is taken in place of a build, or shown.
  enum class Failures : std::uint8_t { kAll, kOfTheSameDependencies, kNone };

  Result<std::string> find_artifact(const std::string& project, const std::string& element,
                                    const model::Keys& keys, Failures failures) {
    CHECK(open());
    const store::Artifacts artifacts(*cas_);
    for (const std::string& key : {keys.strict, keys.weak}) {
      if (key.empty()) continue;
      if (auto found = TRY(artifacts.lookup(project, element, key))) {
        const bool taken =
            found->build_success || failures == Failures::kAll ||
            (failures == Failures::kOfTheSameDependencies && found->strong_key == keys.strict);
        if (!taken) continue;
        // What only its weak key still names can't be used under the other.
        if (found->strong_key == key || TRY(artifacts.lookup(project, element, found->strong_key)))
          return found->strong_key;
      }
    }
    return std::string();
  }

  Result<std::vector<store::NamedArtifact>> named_artifacts(const wire::LoadArguments& arguments,
                                                            std::vector<std::string>& unknown,
                                                            std::vector<std::string>& warnings) {
    CHECK(open());
    return resolve_artifacts(arguments, *cas_, unknown, warnings);
  }

  // A junction's sources, from the store or, where all of them are local, from the project.
  Result<bool> stage(const ResolvedElement& junction, const std::string& directory) {
    CHECK(open());
    std::optional<model::Digest> root =
        TRY(store::SourceRefs(*cas_).lookup_element(junction.sources_key));
    if (!root && junction.sources_local) {
      store::Tree tree(*cas_);
      for (const model::Source& source : junction.body->sources) {
        struct stat info {};
        if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
        CHECK(
            tree.merge(TRY(import(source.path, S_ISDIR(info.st_mode), nullptr)), source.directory));
      }
      root = TRY(tree.store(*cas_));
    }
    if (!root) return false;
    CHECK(store::checkout(*cas_, *root, directory));
    return true;
  }

 private:
  // Only when it is needed: `show` mostly does without.
  Status open() {
    if (cas_) return {};
    cas_.emplace(TRY(store::Cas::open(cachedir_)));
    return {};
  }

  // All of the tree is in the store: what an earlier load put there may have been removed since.
  bool is_whole(const model::Digest& root) {
    const std::lock_guard lock(mutex_);
    return open() && store::tree_is_whole(*cas_, root);
  }

  Result<model::Digest> import_known(const std::string& path, store::ImportOptions options,
                                     KnownFiles* known) {
    std::optional<store::Completeness> complete;
    options.known = known;
    if (known != nullptr && known->earlier())
      options.present = complete.emplace(*cas_).presence(*known->earlier());
    return store::import_tree(*cas_, path, options);
  }

  Result<model::Digest> import(const std::string& path, bool directory, KnownFiles* known) {
    CHECK(open());
    if (directory) return import_known(path, {}, known);
    return store::import_file_as_tree(*cas_, path, path.substr(path.rfind('/') + 1));
  }

  bool import_;
  std::string cachedir_;
  std::mutex mutex_;
  LocalCache known_;
  std::unordered_map<std::string, model::Digest> found_;  // by path
  std::optional<store::Cas> cas_;
};

Result<Deps> deps_of(std::string_view name) {
  if (name.empty() || name == "all") return Deps::kAll;
  if (name == "none") return Deps::kNone;
  if (name == "run") return Deps::kRun;
  if (name == "build") return Deps::kBuild;
  if (name == "redirect") return Deps::kRedirect;
  return fail("app", "invalid-request", fmt::format("'{}' is no choice of dependencies", name));
}

Result<LoadRequest> request_of(const wire::LoadArguments& arguments) {
  LoadRequest request;
  request.ignore_junctions = arguments.what.ignore_junctions;
  request.directory = arguments.what.directory;
  request.targets = arguments.what.targets;
  request.bodies = {arguments.wanted.bodies,
                    {arguments.wanted.bodies_of.begin(), arguments.wanted.bodies_of.end()},
                    arguments.wanted.key_inputs,
                    arguments.wanted.track};
  request.options = arguments.what.options;
  request.config = arguments.what.config;
  request.except = arguments.what.except;
  auto deps = deps_of(arguments.what.deps);
  if (!deps) return forward(deps);
  request.deps = *deps;
  request.track = arguments.wanted.track;
  request.cross_junctions = arguments.wanted.cross_junctions;
  request.ignore_workspaces = arguments.what.ignore_workspaces;
  if (arguments.wanted.project_only == "first")
    request.project_only = LoadRequest::ProjectOnly::kFirst;
  if (arguments.wanted.project_only == "complete")
    request.project_only = LoadRequest::ProjectOnly::kComplete;
  request.overrides = arguments.overrides;
  return request;
}

tl::unexpected<Error> unmet(const Needs& needs) {
  const auto& first = needs.junctions.front();
  return fail("load", "subproject-fetch-needed",
              fmt::format("The project behind junction '{}' has not been fetched", first.full_name),
              first.provenance,
              fmt::format("Try fetching it with `source fetch {}`", first.full_name));
}

// The answer that was kept, when it still holds.
std::optional<wire::LoadResult> find_kept(SnapshotCache& cache, const std::string& question,
                                          const LoadHooks& hooks) {
  auto kept = cache.find(question, hooks.digest_local, hooks.digest_workspace);
  if (!kept) return std::nullopt;
  auto result = wire::decode<wire::LoadResult>(kept->head);
  if (!result) return std::nullopt;
  result->snapshot.bytes = std::move(kept->body);
  return std::move(*result);
}

Result<wire::LoadResult> deliver(const wire::LoadArguments& arguments, wire::LoadResult result) {
  if (arguments.wanted.snapshot_file.empty()) return result;
  if (auto written = write_file_atomic(arguments.wanted.snapshot_file, result.snapshot.bytes, 0600);
      !written)
    return forward(written);
  result.snapshot.bytes.clear();
  result.snapshot_file = arguments.wanted.snapshot_file;
  return result;
}

// What is to be written into the store, be it by jobs, from now on has the limits of this user's
// configuration.
Status limit_store(const UserConfig& config) {
  const std::string& cachedir = config.settings.cachedir;
  CHECK(make_directories(cachedir + "/sluice"));
  auto space = TRY(store::Space::open(cachedir));
  space.set_limits(
      {config.settings.cache_quota, config.cache_reserved, config.cache_low_watermark});
  return {};
}

Result<wire::LoadResult> load_and_pack(const wire::LoadArguments& arguments) {
  auto request = request_of(arguments);
  if (!request) return forward(request);
  wire::LoadArguments asked = arguments;
  asked.wanted.snapshot_file.clear();
  asked.wanted.quiet = false;
  asked.wanted.import_sources = false;  // what is entered into the store is no part of the answer
  asked.wanted.builds = false;          // answers that look into the store aren't kept
  const std::string question = SnapshotCache::question(wire::encode(asked));
  const std::int64_t began_ns = system_clock().wall_ns();
  // The store's place is in the user's configuration, which the load reads too:
  // it is one small file, and the store must be open before the first key is made.
  auto config = load_user_config(request->config, request->overrides, 1);
  if (!config) return forward(config);
  // Before a session writes the first file into the store.
  if (arguments.wanted.import_sources) CHECK(limit_store(**config));
  LocalSources sources(arguments.wanted.import_sources, (*config)->settings.cachedir,
                       Lookups().resolve(arguments.what.directory).path);
  LoadHooks hooks;
  hooks.digest_local = [&](const std::string& path) { return sources.digest(path); };
  hooks.digest_workspace = [&](const std::string& path) { return sources.workspace_digest(path); };
  // What is in the store changes with every build: such an answer isn't kept.
  bool looked_for_artifacts = false;
  const bool retry_failed = arguments.wanted.retry_failed || (*config)->settings.retry_failed;
  const LocalSources::Failures failures = !arguments.wanted.builds ? LocalSources::Failures::kAll
                                          : retry_failed
                                              ? LocalSources::Failures::kNone
                                              : LocalSources::Failures::kOfTheSameDependencies;
  hooks.find_artifact = [&](const std::string& project, const std::string& element,
                            const model::Keys& keys) {
    looked_for_artifacts = true;
    return sources.find_artifact(project, element, keys, failures);
  };
  hooks.stage_junction = [&](const ResolvedElement& junction, const std::string& directory) {
    return sources.stage(junction, directory);
  };

  hooks.pack_body = [](const model::ElementBody& body) { return wire::pack_body(body); };

  wire::SnapshotPacker packer;
  hooks.take_element = [&](std::size_t index, model::Element element) {
    packer.add(index, std::move(element));
  };

  // What a name stands for is in the store, too.
  const bool keeps = arguments.what.artifacts.empty();
  SnapshotCache cache;
  if (auto kept = keeps ? find_kept(cache, question, hooks) : std::nullopt)
    return deliver(arguments, std::move(*kept));
  auto lookups = std::make_shared<Lookups>();
  hooks.lookups = lookups;
  hooks.digest_local = [&](const std::string& path) {
    auto digest = sources.digest(path);
    if (digest) lookups->note_local(path, *digest);
    return digest;
  };
  hooks.digest_workspace = [&](const std::string& path) {
    auto digest = sources.workspace_digest(path);
    if (digest) lookups->note_workspace(path, *digest);
    return digest;
  };
  Result<LoadAnswer> loaded = LoadedSnapshot{};
  // Artifacts need no project, but one that is there must be in order.
  const bool artifacts_alone = arguments.what.targets.empty() && !arguments.what.artifacts.empty();
  if (artifacts_alone) request->project_only = LoadRequest::ProjectOnly::kComplete;
  loaded = load(*request, hooks);
  sources.save();
  if (!loaded) return forward(loaded);
  wire::LoadResult result;
  auto* needs = std::get_if<Needs>(&*loaded);
  if (needs != nullptr) {
    if (!arguments.wanted.accept_needs) return unmet(*needs);
    for (const auto& junction : needs->junctions) result.needs.push_back(junction.full_name);
  }
  auto& project = needs != nullptr ? needs->known : std::get<LoadedSnapshot>(*loaded);
  if (needs == nullptr && !arguments.what.artifacts.empty()) {
    const auto named =
        TRY(sources.named_artifacts(arguments, result.needs, project.snapshot.warnings));
    // To be pulled first, alone.
    if (!result.needs.empty()) {
      packer = {};
      project.snapshot.projects.clear();
      project.snapshot.targets.clear();
      project.selection.clear();
    }
    std::vector<model::Element> elements;
    CHECK(add_artifact_elements(named, **config, project.snapshot.projects, elements,
                                project.snapshot.warnings));
    for (model::Element& element : elements) {
      const auto index = static_cast<model::ElementIndex>(packer.size());
      project.snapshot.targets.push_back(index);
      project.selection.push_back(index);
      packer.add(index, std::move(element));
    }
    // A pattern that matches nothing is no lack of caches.
    if (project.snapshot.projects.empty()) {
      auto& warnings = project.snapshot.warnings;
      result.servers.push_back(
          {TRY((*config)->servers("", "artifacts", (*config)->artifacts, warnings)),
           TRY((*config)->servers("", "source-caches", (*config)->source_caches, warnings))});
    }
  }
  result.elements = static_cast<std::uint32_t>(packer.size());
  result.selection = project.selection;
  result.warnings = project.snapshot.warnings;
  for (const model::Project& each : project.snapshot.projects)
    result.servers.push_back({each.artifact_servers, each.source_servers});
  result.settings.bytes = wire::pack_settings(project.snapshot.settings);
  // What loading took is free now, but not given back; large answers need as much again.
  if (result.elements > kMany) ::malloc_trim(0);
  std::string snapshot = packer.finish(project.snapshot);
  result.id = project.snapshot.id;
  project = {};
  // What is needed may be there the next time, without anything else having changed.
  if (needs == nullptr && keeps && !looked_for_artifacts)
    cache.keep(question, *lookups, began_ns, wire::encode(result), snapshot);
  result.snapshot.bytes = std::move(snapshot);
  return deliver(arguments, std::move(result));
}

}  // namespace

wire::LoadResult answer(const wire::LoadArguments& arguments) {
  auto result = load_and_pack(arguments);
  if (result) return std::move(*result);
  wire::LoadResult failed;
  failed.error = wire::ErrorBody::from(result.error());
  return failed;
}

}  // namespace sluice::loader
