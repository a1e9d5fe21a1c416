#include "cli/sources.h"

#include <cerrno>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/work.h"
#include "store/directory.h"
#include "store/sources.h"
#include "store/tree.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

// The error of a command that has reported its errors: without a domain, so that nobody reports it
// again.
tl::unexpected<Error> reported() { return tl::unexpected<Error>(Error{"", "", "", {}, {}}); }

}  // namespace

Result<Sources> Sources::get(Invocation& invocation, const Wanted& wanted) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = wanted.targets;
  arguments.what.except = wanted.except;
  arguments.what.deps = wanted.deps;
  arguments.wanted.import_sources = wanted.fetch;
  arguments.what.ignore_workspaces = wanted.ignore_workspaces;
  Work work;
  work.verb = model::Action::kFetch;
  work.targets = wanted.targets;
  work.except = wanted.except;
  work.deps = wanted.deps;
  work.ignore_workspaces = wanted.ignore_workspaces;
  work.remotes = wanted.remotes;
  auto loaded = load_once(arguments);
  if (!loaded && loaded.error().reason == "subproject-fetch-needed") {
    Work subprojects = work;
    subprojects.only_subprojects = true;
    if (run_work(invocation, std::move(subprojects)) != kSuccess) return reported();
    loaded = load_once(arguments);
  }
  if (!loaded) return forward(loaded);
  Sources sources;
  sources.loaded_ = std::make_unique<LoadedProject>(std::move(*loaded));
  // Warnings are said once: a run that fetches loads, and warns, too.
  const auto warn = [&] {
    for (const auto& warning :
         wanted.warn ? sources.loaded_->snapshot.warnings : std::vector<std::string>())
      invocation.report.warning(warning);
  };
  auto cas = TRY(store::Cas::open(sources.loaded_->snapshot.settings.cachedir));
  sources.cas_ = std::make_unique<store::Cas>(std::move(cas));
  if (!wanted.fetch) {
    warn();
    return sources;
  }
  const store::SourceRefs refs(*sources.cas_);
  bool missing = false;
  for (const auto index : sources.selection()) {
    const model::Element& element = sources.element(index);
    if (!element.has_sources || (element.sources_local && element.sources_resolved)) continue;
    if (!element.sources_key.empty()) {
      auto found = TRY(refs.lookup_element(element.sources_key));
      if (found) continue;
    }
    missing = true;
  }
  // Sources are fetched by a run; without any to fetch there is no run.
  if (!missing) {
    warn();
  } else if (run_work(invocation, std::move(work)) != kSuccess) {
    return reported();
  }
  return sources;
}

Result<model::Digest> Sources::root(model::ElementIndex index) {
  const model::Element& of = element(index);
  if (!of.has_sources) return store::empty_digest();
  const store::SourceRefs refs(*cas_);
  if (!of.sources_key.empty()) {
    auto found = TRY(refs.lookup_element(of.sources_key));
    if (found) return *found;
  }
  if (!of.sources_local) {
    return fail("stream", "uncached-sources",
                fmt::format("The sources of {} are not in the cache", of.full_name));
  }
  auto body = TRY(wire::unpack_body(of.body));
  store::Tree tree(*cas_);
  for (const model::Source& source : body.sources) {
    struct stat info {};
    if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
    auto part = TRY(S_ISDIR(info.st_mode)
                        ? store::import_tree(*cas_, source.path)
                        : store::import_file_as_tree(
                              *cas_, source.path, source.path.substr(source.path.rfind('/') + 1)));
    CHECK(tree.merge(part, source.directory));
  }
  return tree.store(*cas_);
}

}  // namespace sluice::cli
