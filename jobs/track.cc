#include "jobs/track.h"

#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "jobs/fetch.h"
#include "jobs/source_surroundings.h"
#include "model/source_kinds.h"
#include "sources/plugin/plugin.h"
#include "store/tree.h"

namespace sluice::jobs {

namespace {

bool has_form(const model::Node& ref, model::RefForm form) {
  switch (form) {
    case model::RefForm::kNone: return false;
    case model::RefForm::kText: return ref.is_scalar();
    case model::RefForm::kList: return ref.is_list();
    case model::RefForm::kMap:
    case model::RefForm::kKeys: return ref.is_map();
    case model::RefForm::kAny: return ref.kind != model::Node::Kind::kNull;
  }
  return false;
}

// The part of a ref that is under `key` in the source's configuration.
model::Node of_key(const model::Node& ref, model::RefForm form, std::string_view key) {
  if (form != model::RefForm::kKeys) return ref;
  const model::Node* value = ref.find(key);
  return value != nullptr ? *value : model::Node();
}

// Finds the ref of now; std::nullopt for a source that has none, or whose ref stays.
Result<std::optional<sources::Found>> track(const model::Source& source,
                                            sources::Surroundings& surroundings) {
  const model::SourceTraits& traits = model::traits(source);
  if (!traits.has_ref()) return std::nullopt;
  const sources::WorkRow* work = sources::find_work(source);
  if (work == nullptr || work->track == nullptr) {
    return sources::source_error(source, "unsupported-source",
                                 fmt::format("{}Sources of kind '{}' can't be tracked",
                                             sources::where(source), source.kind));
  }
  auto found = TRY(work->track(source, surroundings));
  // A plugin says itself how its ref is written.
  const model::RefForm form = source.plugin.file.empty() ? traits.ref : model::RefForm::kAny;
  if (found && found->ref != source.ref && !has_form(found->ref, form))
    return fail("job", "bad-ref",
                fmt::format("What {}tracking found is no ref", sources::where(source)));
  return found;
}

// Where a key of a source is: at its own place where the loader found one, or else beside the ref.
model::RefPlace place_of(const model::Source& source, const std::string& key) {
  const std::string step = "k" + key;
  for (const model::RefPlace& place : source.ref_places) {
    if (!place.path.empty() && place.path.back() == step) return place;
  }
  model::RefPlace place = source.ref_places.front();
  if (!place.path.empty()) place.path.back() = step;
  return place;
}

// Adds what the keys that a plugin writes change in the files of the project.
Status add_writes(const model::Source& source, const model::NodeMap& writes,
                  std::vector<wire::NewRef>& changed) {
  if (source.ref_places.empty())
    return fail("job", "bad-job", "The job does not say where its sources' refs are");
  for (const auto& [key, now] : writes) {
    changed.push_back({place_of(source, key), TRY(sources::plugin::kept_value(source, key)), now});
  }
  return {};
}

// Adds what a new ref changes in the files of the project.
Status add_changes(const model::Source& source, const sources::Found& found,
                   std::vector<wire::NewRef>& changed) {
  if (!source.plugin.file.empty()) return add_writes(source, found.writes, changed);
  const model::Node& ref = found.ref;
  const model::SourceTraits& traits = model::traits(source);
  if (source.ref_places.size() != traits.keys().size())
    return fail("job", "bad-job", "The job does not say where its sources' refs are");
  for (std::size_t i = 0; i < traits.keys().size(); ++i) {
    model::Node before = of_key(source.ref, traits.ref, traits.keys()[i]);
    model::Node now = of_key(ref, traits.ref, traits.keys()[i]);
    if (now != before) changed.push_back({source.ref_places[i], std::move(before), std::move(now)});
  }
  return {};
}

}  // namespace

Result<Tracked> track_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                              Cancel& cancel) {
  Tracked tracked;
  SourceSurroundings surroundings(data, cas, reporter, cancel);
  // The sources so far, of the refs that they have now.
  std::vector<model::Source> before;
  surroundings.previous_by(
      [&] { return stage_sources(before, data.element.name, cas, surroundings); });
  for (const model::Source& source : data.body.sources) {
    CHECK(cancel.check());
    const std::optional<sources::Found> found = TRY(track(source, surroundings));
    before.push_back(source);
    if (!found) continue;
    tracked.any = true;
    if (found->ref == source.ref) continue;
    // Plugins say it themselves.
    if (source.plugin.file.empty())
      reporter.message(Level::kInfo, fmt::format("Found new revision: {}", found->shown));
    CHECK(add_changes(source, *found, tracked.changed));
    if (!source.plugin.file.empty()) before.back() = TRY(sources::plugin::with_ref(source, *found));
    before.back().ref = found->ref;
    before.back().key.clear();
  }
  return tracked;
}

}  // namespace sluice::jobs
