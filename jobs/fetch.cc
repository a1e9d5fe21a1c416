#include "jobs/fetch.h"

#include <algorithm>

#include <fmt/format.h>

#include "jobs/pull.h"
#include "jobs/source_surroundings.h"
#include "model/source_kinds.h"
#include "store/directory.h"
#include "store/realise.h"
#include "store/sources.h"

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

class Fetch {
 public:
  Fetch(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel), refs_(cas),
        surroundings_(data, &cas, reporter, cancel) {}

  Result<model::Digest> run() {
    auto known = refs_.lookup_element(data_.element.sources_key);
    if (!known) return forward(known);
    if (*known) return **known;
    if (!data_.job.remotes.empty()) {
      if (auto pulled = pull_sources(data_, cas_, reporter_, cancel_); !pulled)
        return forward(pulled);
      known = refs_.lookup_element(data_.element.sources_key);
      if (!known) return forward(known);
      if (*known) return **known;
    }
    // First all of them, then together: what can't be had is said before anything is applied.
    std::vector<model::Digest> roots;
    for (const model::Source& source : data_.body.sources) {
      auto root = one(source);
      if (!root) return root;
      roots.push_back(*root);
    }
    store::Tree tree(cas_);
    for (std::size_t i = 0; i < roots.size(); ++i) {
      const model::Source& source = data_.body.sources[i];
      auto directory = place_of(source, tree);
      if (!directory) return forward(directory);
      if (model::traits(source).changes_previous) {
        if (auto changed = change(source, tree, *directory); !changed) return forward(changed);
        continue;
      }
      if (auto merged = tree.merge(roots[i], *directory); !merged) {
        return fail("element", "stage-sources-fail",
                    fmt::format("Error trying to stage sources for {}: {}", data_.element.name,
                                merged.error().message));
      }
    }
    auto root = tree.store(cas_);
    if (!root) return root;
    if (!data_.element.sources_key.empty()) {
      if (auto stored = refs_.store_element(data_.element.sources_key, *root); !stored)
        return forward(stored);
    }
    return root;
  }

 private:
  // The tree of a source; none of one that changes what is there.
  Result<model::Digest> one(const model::Source& source) {
    if (auto going = cancel_.check(); !going) return forward(going);
    const sources::WorkRow* work = sources::find_work(source);
    if (work == nullptr) return cannot_fetch(source);
    if (model::traits(source).changes_previous) return model::Digest();
    auto known = refs_.lookup_source(source.kind, source.key);
    if (!known) return forward(known);
    if (*known) return **known;
    if (work->fetch != nullptr) {
      if (auto fetched = work->fetch(source, surroundings_); !fetched) return forward(fetched);
    }
    auto root = work->stage(source, surroundings_);
    if (!root) return root;
    if (auto stored = refs_.store_source(source.kind, source.key, *root); !stored)
      return forward(stored);
    return root;
  }

  // By a copy; what is left of it is what is there then.
  Status change(const model::Source& source, store::Tree& tree, const std::string& directory) {
    if (auto made = tree.make_directory(directory); !made) return made;
    auto before = tree.store_directory(cas_, directory);
    if (!before) return forward(before);
    auto place = surroundings_.directory("changed");
    if (!place) return forward(place);
    if (auto copied = store::copy_out(cas_, *before, *place); !copied) return copied;
    if (auto changed = sources::find_work(source)->change(source, surroundings_, *place); !changed)
      return changed;
    store::ImportOptions options;
    options.consume = true;
    auto after = store::import_tree(cas_, *place, options);
    if (!after) return forward(after);
    if (directory.empty()) {
      auto whole = store::Tree::open(cas_, *after);
      if (!whole) return forward(whole);
      tree = std::move(*whole);
      return {};
    }
    if (auto removed = tree.remove(directory); !removed) return removed;
    return tree.merge(*after, directory);
  }

  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  Cancel& cancel_;
  store::SourceRefs refs_;
  SourceSurroundings surroundings_;
};

}  // namespace

Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                                    Cancel& cancel) {
  return Fetch(data, cas, reporter, cancel).run();
}

}  // namespace sluice::jobs
