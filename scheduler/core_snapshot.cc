// New refs, and the project loaded anew: what changes what a run works on while it goes on.

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/try.h"
#include "scheduler/core.h"

namespace sluice::scheduler {

// ---- New refs ----------------------------------------------------------------

// One element's refs are written at a time: those of several may be in one file.
void Core::write_next_refs() {
  while (!refs_asked_ && !model()->writing.empty() && !changes_.broken()) {
    const auto& [job, writing] = *model()->writing.begin();
    wire::WriteRefs arguments;
    std::string problem;
    for (const wire::NewRef& ref : writing.result.refs) {
      if (!ref.place.problem.empty()) problem = ref.place.problem;
      const auto changed = model()->loaded->changed_files.find(ref.place.file);
      arguments.edits.push_back(
          {ref.place.file,
           changed == model()->loaded->changed_files.end() ? ref.place.hash : changed->second,
           ref.place.path, ref.ref});
    }
    if (problem.empty()) {
      refs_asked_ = true;
      changes_.write_refs(job, wire::encode(arguments));
      return;
    }
    (void)changes_.commit(RefsWritten{
        changes_.stamp(),
        job,
        {},
        wire::ErrorBody{
            .domain = "source", .reason = "tracking-junction-fragment", .message = problem}});
  }
}

void Core::refs_written(std::uint64_t job, wire::WriteRefsResult result) {
  if (!model()->writing.contains(job)) return;
  refs_asked_ = false;
  (void)changes_.commit(
      RefsWritten{changes_.stamp(), job, std::move(result.files), std::move(result.error)});
  drive();
}

void Core::refs_unknown(std::uint64_t job) {
  if (!model()->writing.contains(job)) return;
  refs_asked_ = false;
  drive();
}

// What was written is seen by whoever works on the project next, also in this session: the run ends
// with it.
bool Core::waits_for_snapshot() {
  if (!model()->run->tracks() || model()->loaded->changed_files.empty()) return false;
  if (model()->terminated || ending_ || model()->reloaded) return false;
  ask_for_reload();
  return true;
}

void Core::ask_for_reload() {
  if (std::exchange(reload_asked_, true)) return;
  changes_.reload(
      wire::encode(wire::ReloadArguments{model()->loaded->file, model()->loaded->snapshot.id}));
}

// Asked of the loader, which knows what keys are made of, and looks into the store that has now
// what was pulled.
void Core::resolve_keys() {
  if (!model()->run || model()->stopping || ending_ || model()->reloaded ||
      !model()->run->awaits_keys())
    return;
  ask_for_reload();
}

Status Core::take_keys(Result<wire::LoadResult> result) {
  const auto changed = [] {
    return fail("scheduler", "project-changed",
                "The project was changed while artifacts were pulled: its keys can't be resolved");
  };
  if (!result) return forward(result);
  if (result->error) return tl::unexpected<Error>(result->error->to_error());
  if (!result->needs.empty()) return changed();
  auto now = TRY(KnownSnapshot::read(result->snapshot_file));
  if (now->size() != model()->loaded->size()) return changed();
  KeysResolved change;
  for (ElementIndex e = 0; e < model()->loaded->size(); ++e) {
    const model::Element& then = model()->loaded->element(e);
    const model::Element& element = now->element(e);
    if (element.full_name != then.full_name || element.keys.weak != then.keys.weak ||
        element.keys.strict != then.keys.strict)
      return changed();
    if (model()->run->awaits_key(e)) change.keys.push_back({e, element.keys.full});
  }
  change.at = changes_.stamp();
  return changes_.commit(change);
}

void Core::take_snapshot(Result<wire::LoadResult> result) {
  SnapshotSuperseded change;
  if (result && !result->error && result->needs.empty()) {
    auto next = KnownSnapshot::read(result->snapshot_file);
    if (next) {
      change.snapshot_file = result->snapshot_file;
      change.snapshot_id = (*next)->snapshot.id;
      changes_.offer(std::move(*next));
    } else {
      log::warn("the project was loaded again, but: {}", next.error().str());
    }
  } else {
    log::warn("the project can't be loaded again: {}", !result         ? result.error().str()
                                                       : result->error ? result->error->message
                                                                       : "subprojects are missing");
  }
  change.at = changes_.stamp();
  (void)changes_.commit(change);
}

void Core::reloaded(Result<wire::LoadResult> result) {
  if (!model()->run || !std::exchange(reload_asked_, false) || model()->reloaded) return;
  if (model()->run->tracks()) {
    take_snapshot(std::move(result));
  } else if (auto taken = take_keys(std::move(result)); !taken) {
    narrator_.error(taken.error(), clock_.wall_ns());
    (void)terminate();
  }
  drive();
}

}  // namespace sluice::scheduler
