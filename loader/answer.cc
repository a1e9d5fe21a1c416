#include "loader/answer.h"

#include <optional>
#include <sys/stat.h>

#include <fmt/format.h>

#include "loader/loader.h"
#include "loader/paths.h"
#include "store/cas.h"
#include "store/directory.h"
#include "wire/snapshot.h"

namespace sluice::loader {

namespace {

// Enters local sources into the store, or only hashes them.
class LocalSources {
 public:
  static Result<LocalSources> open(bool import, const std::string& cachedir) {
    LocalSources sources;
    if (!import) return sources;
    auto cas = store::Cas::open(cachedir);
    if (!cas) return forward(cas);
    sources.cas_.emplace(std::move(*cas));
    return sources;
  }

  Result<model::Digest> digest(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    if (S_ISDIR(info.st_mode)) return cas_ ? store::import_tree(*cas_, path) : store::hash_tree(path);
    const auto name = path.substr(path.rfind('/') + 1);
    return cas_ ? store::import_file_as_tree(*cas_, path, name) : store::hash_file_as_tree(path, name);
  }

 private:
  std::optional<store::Cas> cas_;
};

Result<Deps> deps_of(std::string_view name) {
  if (name.empty() || name == "all") return Deps::kAll;
  if (name == "none") return Deps::kNone;
  if (name == "run") return Deps::kRun;
  if (name == "build") return Deps::kBuild;
  return fail("app", "invalid-request", fmt::format("'{}' is no choice of dependencies", name));
}

Result<LoadRequest> request_of(const wire::LoadArguments& arguments) {
  LoadRequest request;
  request.directory = arguments.directory;
  request.targets = arguments.targets;
  request.options = arguments.options;
  request.config = arguments.config;
  request.except = arguments.except;
  auto deps = deps_of(arguments.deps);
  if (!deps) return forward(deps);
  request.deps = *deps;
  request.overrides = {arguments.builders,    arguments.fetchers,      arguments.pushers,  arguments.network_retries,
                       arguments.max_jobs,    arguments.error_lines,   arguments.message_lines, arguments.on_error,
                       arguments.cache_buildtrees, arguments.strict,   arguments.debug,    arguments.verbose};
  return request;
}

tl::unexpected<Error> unmet(const Needs& needs) {
  const auto& first = needs.junctions.front();
  return fail("load", "unsupported", fmt::format("{}: fetching a junction's project is not supported yet", first.full_name),
              first.provenance);
}

Result<wire::LoadResult> load_and_pack(const wire::LoadArguments& arguments) {
  auto request = request_of(arguments);
  if (!request) return forward(request);
  // The store's place is in the user's configuration, which the load reads too:
  // it is one small file, and the store must be open before the first key is made.
  auto config = load_user_config(request->config, request->overrides, 1);
  if (!config) return forward(config);
  auto sources = LocalSources::open(arguments.import_sources, (*config)->settings.cachedir);
  if (!sources) return forward(sources);
  LoadHooks hooks;
  hooks.digest_local = [&](const std::string& path) { return sources->digest(path); };

  auto loaded = load(*request, hooks);
  if (!loaded) return forward(loaded);
  if (const auto* needs = std::get_if<Needs>(&*loaded)) return unmet(*needs);
  auto& project = std::get<Loaded>(*loaded);
  if (arguments.bodies) {
    for (std::size_t i = 0; i < project.bodies.size(); ++i) {
      project.snapshot.elements[i].body = wire::pack_body(project.bodies[i]);
    }
  }
  wire::LoadResult result;
  result.elements = static_cast<std::uint32_t>(project.snapshot.elements.size());
  result.selection = project.selection;
  result.warnings = project.snapshot.warnings;
  result.settings.bytes = wire::pack_settings(project.snapshot.settings);
  if (arguments.snapshot_file.empty()) {
    result.snapshot.bytes = wire::pack_snapshot(project.snapshot);
  } else {
    if (auto written = wire::write_snapshot(arguments.snapshot_file, project.snapshot); !written) return forward(written);
    result.snapshot_file = arguments.snapshot_file;
  }
  result.id = project.snapshot.id;
  return result;
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
