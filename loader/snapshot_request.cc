#include "loader/snapshot_request.h"

#include <memory>
#include <optional>

#include <malloc.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/try.h"
#include "loader/cache/snapshot_cache.h"
#include "loader/elements/artifact_elements.h"
#include "loader/loader.h"
#include "loader/store_access.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "store/space.h"
#include "wire/snapshot.h"

namespace sluice::loader {

namespace {

// Elements from which on memory is given back to the system before the answer is packed.
constexpr std::uint32_t kMany = 20'000;

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
  request.deps = TRY(deps_of(arguments.what.deps));
  request.track = arguments.wanted.track;
  request.cross_junctions = arguments.wanted.cross_junctions;
  request.ignore_workspaces = arguments.what.ignore_workspaces;
  if (arguments.wanted.project_only == "first")
    request.project_only = LoadRequest::ProjectOnly::kFirst;
  // Artifacts need no project, but one that is there must be in order.
  const bool artifacts_alone = arguments.what.targets.empty() && !arguments.what.artifacts.empty();
  if (arguments.wanted.project_only == "complete" || artifacts_alone)
    request.project_only = LoadRequest::ProjectOnly::kComplete;
  request.overrides = arguments.overrides;
  return request;
}

// The question that an answer is kept under: the arguments without what makes no other snapshot.
std::string question_of(const wire::LoadArguments& arguments) {
  wire::LoadArguments asked = arguments;
  asked.wanted.snapshot_file.clear();
  asked.wanted.quiet = false;
  asked.wanted.import_sources = false;  // what is entered into the store is no part of the answer
  asked.wanted.builds = false;          // answers that look into the store aren't kept
  return SnapshotCache::question(wire::encode(asked));
}

StoreAccess::Failures failures_of(const wire::LoadArguments& arguments, const UserConfig& config) {
  if (!arguments.wanted.builds) return StoreAccess::Failures::kAll;
  const bool retry_failed = arguments.wanted.retry_failed || config.settings.retry_failed;
  return retry_failed ? StoreAccess::Failures::kNone
                      : StoreAccess::Failures::kOfTheSameDependencies;
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

// The result as it is wanted: with the snapshot, or with the name of the file that it is in.
Result<wire::LoadResult> deliver(const wire::LoadArguments& arguments, wire::LoadResult result) {
  if (arguments.wanted.snapshot_file.empty()) return result;
  CHECK(write_file_atomic(arguments.wanted.snapshot_file, result.snapshot.bytes, 0600));
  result.snapshot.bytes.clear();
  result.snapshot_file = arguments.wanted.snapshot_file;
  return result;
}

// Adds the artifacts that are named as elements, which are targets and selected. When some have to
// be pulled first, `result.needs` says so, and they alone are in the snapshot.
Status add_named_artifacts(const wire::LoadArguments& arguments, StoreAccess& store,
                           const UserConfig& config, LoadedSnapshot& loaded,
                           wire::SnapshotPacker& packer, wire::LoadResult& result) {
  model::Snapshot& snapshot = loaded.snapshot;
  const auto named = TRY(store.named_artifacts(arguments, result.needs, snapshot.warnings));
  if (!result.needs.empty()) {
    packer = {};
    snapshot.projects.clear();
    snapshot.targets.clear();
    loaded.selection.clear();
  }
  std::vector<model::Element> elements;
  CHECK(add_artifact_elements(named, config, snapshot.projects, elements, snapshot.warnings));
  for (model::Element& element : elements) {
    const auto index = static_cast<model::ElementIndex>(packer.size());
    snapshot.targets.push_back(index);
    loaded.selection.push_back(index);
    packer.add(index, std::move(element));
  }
  // A pattern that matches nothing is no lack of caches.
  if (snapshot.projects.empty()) {
    result.servers.push_back(
        {TRY(config.servers("", "artifacts", config.artifacts, snapshot.warnings)),
         TRY(config.servers("", "source-caches", config.source_caches, snapshot.warnings))});
  }
  return {};
}

// Moves what was loaded into the result, and packs the snapshot.
std::string pack(LoadedSnapshot& loaded, wire::SnapshotPacker& packer, wire::LoadResult& result) {
  result.elements = static_cast<std::uint32_t>(packer.size());
  result.selection = loaded.selection;
  result.warnings = loaded.snapshot.warnings;
  for (const model::Project& each : loaded.snapshot.projects)
    result.servers.push_back({each.artifact_servers, each.source_servers});
  result.settings.bytes = wire::pack_settings(loaded.snapshot.settings);
  // What loading took is free now, but not given back; large answers need as much again.
  if (result.elements > kMany) ::malloc_trim(0);
  std::string snapshot = packer.finish(loaded.snapshot);
  result.id = loaded.snapshot.id;
  loaded = {};
  return snapshot;
}

Result<wire::LoadResult> load_and_pack(const wire::LoadArguments& arguments) {
  const LoadRequest request = TRY(request_of(arguments));
  const std::string question = question_of(arguments);
  const std::int64_t began_ns = system_clock().wall_ns();
  // The store's place is in the user's configuration, which the load reads too: it is one small
  // file, and the store must be open before the first key is made.
  const auto config = TRY(load_user_config(request.config, request.overrides, 1));
  // The limits hold before a session writes the first file into the store.
  if (arguments.wanted.import_sources) {
    CHECK(store::limit_store(
        config->settings.cachedir,
        {config->settings.cache_quota, config->cache_reserved, config->cache_low_watermark}));
  }
  StoreAccess store(arguments.wanted.import_sources, config->settings.cachedir,
                    Lookups().resolve(arguments.what.directory).path);
  LoadHooks hooks;
  hooks.digest_local = [&](const std::string& path) { return store.digest(path); };
  hooks.digest_workspace = [&](const std::string& path) { return store.workspace_digest(path); };
  // What a name of an artifact stands for is in the store, which changes with every build: such an
  // answer isn't kept.
  const bool keeps = arguments.what.artifacts.empty();
  SnapshotCache cache;
  if (auto kept = keeps ? find_kept(cache, question, hooks) : std::nullopt)
    return deliver(arguments, std::move(*kept));

  auto lookups = std::make_shared<Lookups>();
  hooks.lookups = lookups;
  hooks.digest_local = [&](const std::string& path) {
    auto digest = store.digest(path);
    if (digest) lookups->note_local(path, *digest);
    return digest;
  };
  hooks.digest_workspace = [&](const std::string& path) {
    auto digest = store.workspace_digest(path);
    if (digest) lookups->note_workspace(path, *digest);
    return digest;
  };
  bool looked_for_artifacts = false;
  hooks.find_artifact = [&, failures = failures_of(arguments, *config)](const std::string& project,
                                                                        const std::string& element,
                                                                        const model::Keys& keys) {
    looked_for_artifacts = true;
    return store.find_artifact(project, element, keys, failures);
  };
  hooks.stage_junction = [&](const ResolvedElement& junction, const std::string& directory) {
    return store.stage(junction, directory);
  };
  hooks.pack_body = [](const model::ElementBody& body) { return wire::pack_body(body); };
  wire::SnapshotPacker packer;
  hooks.take_element = [&](std::size_t index, model::Element element) {
    packer.add(index, std::move(element));
  };
  auto loaded = load(request, hooks);
  store.save();
  LoadAnswer answer = TRY(std::move(loaded));

  wire::LoadResult result;
  auto* needs = std::get_if<Needs>(&answer);
  if (needs != nullptr) {
    if (!arguments.wanted.accept_needs) return unmet(*needs);
    for (const auto& junction : needs->junctions) result.needs.push_back(junction.full_name);
  }
  LoadedSnapshot& known = needs != nullptr ? needs->known : std::get<LoadedSnapshot>(answer);
  if (needs == nullptr && !keeps)
    CHECK(add_named_artifacts(arguments, store, *config, known, packer, result));
  std::string snapshot = pack(known, packer, result);
  // What is needed may be there the next time, without anything else having changed.
  if (needs == nullptr && keeps && !looked_for_artifacts)
    cache.keep(question, *lookups, began_ns, wire::encode(result), snapshot);
  result.snapshot.bytes = std::move(snapshot);
  return deliver(arguments, std::move(result));
}

}  // namespace

wire::LoadResult make_snapshot(const wire::LoadArguments& arguments) {
  auto result = load_and_pack(arguments);
  if (result) return std::move(*result);
  wire::LoadResult failed;
  failed.error = wire::ErrorBody::from(result.error());
  return failed;
}

}  // namespace sluice::loader
