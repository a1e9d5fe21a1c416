#include "jobs/track.h"

#include <fmt/format.h>

#include "base/try.h"
#include "jobs/source_surroundings.h"
#include "model/source_kinds.h"

namespace sluice::jobs {

namespace {

bool has_form(const model::Node& ref, model::RefForm form) {
  switch (form) {
    case model::RefForm::kNone: return false;
    case model::RefForm::kText: return ref.is_scalar();
    case model::RefForm::kList: return ref.is_list();
    case model::RefForm::kMap:
    case model::RefForm::kKeys: return ref.is_map();
  }
  return false;
}

// The part of a ref that is under `key` in the source's configuration.
model::Node of_key(const model::Node& ref, model::RefForm form, std::string_view key) {
  if (form != model::RefForm::kKeys) return ref;
  const model::Node* value = ref.find(key);
  return value != nullptr ? *value : model::Node();
}

}  // namespace

Result<Tracked> track_sources(const JobData& data, Reporter& reporter, Cancel& cancel) {
  Tracked tracked;
  SourceSurroundings surroundings(data, nullptr, reporter, cancel);
  for (const model::Source& source : data.body.sources) {
    CHECK(cancel.check());
    const model::SourceTraits& traits = model::traits(source);
    if (!traits.has_ref()) continue;
    const sources::WorkRow* work = sources::find_work(source);
    if (work == nullptr || work->track == nullptr) {
      return sources::source_error(source, "unsupported-source",
                                   fmt::format("{}Sources of kind '{}' can't be tracked",
                                               sources::where(source), source.kind));
    }
    auto found = TRY(work->track(source, surroundings));
    if (!found) continue;
    tracked.any = true;
    const model::Node& ref = found->ref;
    if (ref == source.ref) continue;
    if (!has_form(ref, traits.ref))
      return fail("job", "bad-ref",
                  fmt::format("What {}tracking found is no ref", sources::where(source)));
    if (source.ref_places.size() != traits.keys().size())
      return fail("job", "bad-job", "The job does not say where its sources' refs are");
    reporter.message(Level::kInfo, fmt::format("Found new revision: {}", found->shown));
    for (std::size_t i = 0; i < traits.keys().size(); ++i) {
      model::Node before = of_key(source.ref, traits.ref, traits.keys()[i]);
      model::Node now = of_key(ref, traits.ref, traits.keys()[i]);
      if (now != before)
        tracked.changed.push_back({source.ref_places[i], std::move(before), std::move(now)});
    }
  }
  return tracked;
}

}  // namespace sluice::jobs
