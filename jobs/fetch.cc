#include "jobs/fetch.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "jobs/pull.h"
#include "jobs/source_surroundings.h"
#include "model/source_kinds.h"
#include "store/directory.h"
#include "store/realise.h"
#include "store/sources.h"
#include "store/tree.h"

namespace sluice::jobs {

namespace {

// The directory of the root that a source is staged in, made when its path has "..": BuildStream
// makes each directory on the way, be it left again.
Result<std::string> place_of(const model::Source& source, store::Tree& tree) {
  if (source.directory.find("..") == std::string::npos) return source.directory;
  return store::walk_path("", source.directory, [&](const std::string& directory) {
    return tree.make_directory(directory);
  });
}

tl::unexpected<Error> cannot_fetch(const model::Source& source) {
  return sources::source_error(
      source, "unsupported-source",
      fmt::format("{}Sources of kind '{}' can't be fetched", sources::where(source), source.kind));
}

// Stages sources, one on top of the other.
class Staging {
 public:
  Staging(store::Cas& cas, SourceSurroundings& surroundings)
      : cas_(cas), refs_(cas), surroundings_(surroundings) {}

  Result<store::Tree> run(std::span<const model::Source> sources, std::string_view element) {
    // All sources are had before they are put together: what can't be had is said before anything
    // is applied.
    std::vector<model::Digest> roots;
    struct Restore {
      SourceSurroundings& surroundings;
      SourceSurroundings::Stage before;
      ~Restore() { surroundings.previous_by(std::move(before)); }
    } restore{surroundings_,
              surroundings_.previous_by([&] { return put_together(sources, roots, element); })};
    for (const model::Source& source : sources) roots.push_back(TRY(one(source)));
    return put_together(sources, roots, element);
  }

 private:
  // The tree of the sources that there are roots of.
  Result<store::Tree> put_together(std::span<const model::Source> sources,
                                   const std::vector<model::Digest>& roots,
                                   std::string_view element) {
    store::Tree tree(cas_);
    for (std::size_t i = 0; i < roots.size(); ++i) {
      const model::Source& source = sources[i];
      auto directory = TRY(place_of(source, tree));
      if (model::traits(source).changes_previous) {
        // Those that change the same directory one after the other do so in one copy of it.
        std::size_t count = 1;
        while (i + count < roots.size() && model::traits(sources[i + count]).changes_previous &&
               sources[i + count].directory == source.directory)
          ++count;
        CHECK(change(sources.subspan(i, count), tree, directory));
        i += count - 1;
        continue;
      }
      if (auto merged = tree.merge(roots[i], directory); !merged) {
        return fail("element", "stage-sources-fail",
                    fmt::format("Error trying to stage sources for {}: {}", element,
                                merged.error().message));
      }
    }
    return tree;
  }

  // The tree of a source; an empty digest for one that changes what is there, which is had from
  // where it comes from and no more.
  Result<model::Digest> one(const model::Source& source) {
    CHECK(surroundings_.check());
    const sources::WorkRow* work = sources::find_work(source);
    if (work == nullptr) return cannot_fetch(source);
    if (model::traits(source).changes_previous) {
      if (work->fetch != nullptr) {
        CHECK(work->fetch(source, surroundings_));
      }
      return model::Digest();
    }
    if (!source.key.empty()) {
      if (const auto known = TRY(refs_.lookup_source(source.kind, source.key))) return *known;
    }
    if (work->fetch != nullptr) {
      CHECK(work->fetch(source, surroundings_));
    }
    auto root = TRY(work->stage(source, surroundings_));
    if (!source.key.empty()) {
      CHECK(refs_.store_source(source.kind, source.key, root));
    }
    return root;
  }

  // Has sources change a copy of what is there, which takes its place then.
  Status change(std::span<const model::Source> sources, store::Tree& tree,
                const std::string& directory) {
    CHECK(tree.make_directory(directory));
    auto before = TRY(tree.store_directory(cas_, directory));
    auto place = TRY(surroundings_.directory("changed"));
    CHECK(store::copy_out(cas_, before, place));
    for (const model::Source& source : sources)
      CHECK(sources::find_work(source)->change(source, surroundings_, place));
    store::ImportOptions options;
    options.consume = true;
    auto after = TRY(store::import_tree(cas_, place, options));
    if (directory.empty()) {
      tree = TRY(store::Tree::open(cas_, after));
      return {};
    }
    CHECK(tree.remove(directory));
    return tree.merge(after, directory);
  }

  store::Cas& cas_;
  store::SourceRefs refs_;
  SourceSurroundings& surroundings_;
};

}  // namespace

Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                                    Cancel& cancel) {
  store::SourceRefs refs(cas);
  if (const auto known = TRY(refs.lookup_element(data.element.sources_key))) return *known;
  if (!data.job.remotes.empty()) {
    CHECK(pull_sources(data, cas, reporter, cancel));
    if (const auto known = TRY(refs.lookup_element(data.element.sources_key))) return *known;
  }
  SourceSurroundings surroundings(data, cas, reporter, cancel);
  store::Tree tree = TRY(stage_sources(data.body.sources, data.element.name, cas, surroundings));
  auto root = TRY(tree.store(cas));
  if (!data.element.sources_key.empty()) {
    CHECK(refs.store_element(data.element.sources_key, root));
  }
  return root;
}

Result<store::Tree> stage_sources(std::span<const model::Source> sources, std::string_view element,
                                  store::Cas& cas, SourceSurroundings& surroundings) {
  return Staging(cas, surroundings).run(sources, element);
}

}  // namespace sluice::jobs
