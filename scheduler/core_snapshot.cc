// New refs, and the project loaded anew: what changes what a run works on while it goes on.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "scheduler/core.h"

namespace sluice::scheduler {

// ---- New refs ----------------------------------------------------------------

Status Core::apply(const RefsFound& change) {
  at(change.at);
  const auto found = attempts_.find(change.result.id.job);
  if (found == attempts_.end() || found->second.id != change.result.id) return bad_journal("has refs of an attempt that isn't under way");
  Attempt attempt = release(found);
  writing_.emplace(change.result.id.job, Writing{std::move(attempt), change.result});
  return {};
}

// One at a time: several elements' may be in one file.
void Core::write_next_refs() {
  while (!refs_asked_ && !writing_.empty() && !broken_) {
    const auto& [job, writing] = *writing_.begin();
    wire::WriteRefs arguments;
    std::string problem;
    for (const wire::NewRef& ref : writing.result.refs) {
      if (!ref.place.problem.empty()) problem = ref.place.problem;
      const auto changed = loaded_->changed_files.find(ref.place.file);
      arguments.edits.push_back({ref.place.file, changed == loaded_->changed_files.end() ? ref.place.hash : changed->second, ref.place.path, ref.ref});
    }
    if (problem.empty()) {
      refs_asked_ = true;
      effects_.push_back({Effect::Kind::kWriteRefs, {}, wire::encode(arguments), {}, job});
      return;
    }
    (void)commit(RefsWritten{stamp(), job, {}, wire::ErrorBody{.domain = "source", .reason = "tracking-junction-fragment", .message = problem}});
  }
}

void Core::refs_written(std::uint64_t job, wire::WriteRefsResult result) {
  if (!writing_.contains(job)) return;
  refs_asked_ = false;
  (void)commit(RefsWritten{stamp(), job, std::move(result.files), std::move(result.error)});
  drive();
}

void Core::refs_unknown(std::uint64_t job) {
  if (!writing_.contains(job)) return;
  refs_asked_ = false;
  drive();
}

// What was written is seen by whoever works on the project next, also in this session: the run ends with it.
bool Core::waits_for_snapshot() {
  if (!run_->tracks() || loaded_->changed_files.empty() || run_->arguments().reload.bytes.empty()) return false;
  if (terminated_ || ending_ || reload_ == Reload::kDone) return false;
  if (reload_ == Reload::kNone) {
    reload_ = Reload::kAsked;
    effects_.push_back({Effect::Kind::kReload, {}, run_->arguments().reload.bytes, {}, 0});
  }
  return true;
}

// Asked of the loader, which knows what keys are made of, and looks into the store that has now what was pulled.
void Core::resolve_keys() {
  if (!run_ || stopping_ || ending_ || reload_ != Reload::kNone || !run_->awaits_keys()) return;
  reload_ = Reload::kAsked;
  effects_.push_back({Effect::Kind::kReload, {}, run_->arguments().reload.bytes, {}, 0});
}

Status Core::take_keys(Result<wire::LoadResult> result) {
  const auto changed = [] {
    return fail("scheduler", "project-changed", "The project was changed while artifacts were pulled: its keys can't be resolved");
  };
  if (!result) return forward(result);
  if (result->error) return tl::unexpected<Error>(result->error->to_error());
  if (!result->needs.empty()) return changed();
  auto now = Loaded::read(result->snapshot_file);
  if (!now) return forward(now);
  if ((*now)->size() != loaded_->size()) return changed();
  KeysResolved change;
  for (ElementIndex e = 0; e < loaded_->size(); ++e) {
    const model::Element& then = loaded_->element(e);
    const model::Element& element = (*now)->element(e);
    if (element.full_name != then.full_name || element.keys.weak != then.keys.weak || element.keys.strict != then.keys.strict) return changed();
    if (run_->awaits_key(e)) change.keys.push_back({e, element.keys.full});
  }
  change.at = stamp();
  return commit(change);
}

Status Core::apply(const KeysResolved& change) {
  at(change.at);
  if (!run_) return bad_journal("resolves keys outside of a run");
  reload_ = Reload::kDone;
  for (const KeyResolved& each : change.keys) {
    if (each.element >= loaded_->size()) return bad_journal("resolves the key of an element that the snapshot lacks");
    loaded_->snapshot.elements[each.element].keys.full = each.key;
  }
  run_->keys_resolved();
  publish_element_states();
  return {};
}

void Core::reloaded(Result<wire::LoadResult> result) {
  if (!run_ || reload_ != Reload::kAsked) return;
  reload_ = Reload::kDone;
  if (!run_->tracks()) {
    if (auto taken = take_keys(std::move(result)); !taken) {
      publish_error(taken.error());
      (void)commit(RunSteered{stamp(), "terminate", 0});
    }
    return drive();
  }
  if (result && !result->error && result->needs.empty()) {
    auto next = Loaded::read(result->snapshot_file);
    if (next) {
      next_ = std::move(*next);
      (void)commit(SnapshotSuperseded{stamp(), result->snapshot_file, next_->snapshot.id});
    } else {
      spdlog::warn("the project was loaded again, but: {}", next.error().str());
    }
  } else {
    spdlog::warn("the project can't be loaded again: {}", !result ? result.error().str() : result->error ? result->error->message : "subprojects are missing");
  }
  drive();
}

Status Core::apply(const SnapshotSuperseded& change) {
  at(change.at);
  if (!run_) return bad_journal("has a new snapshot outside of a run");
  reload_ = Reload::kDone;
  if (next_) return {};
  auto next = Loaded::read(change.snapshot_file);
  if (!next) return forward(next);
  if ((*next)->snapshot.id != change.snapshot_id) return bad_journal("has another snapshot than the file");
  next_ = std::move(*next);
  return {};
}

Status Core::apply(const RefsWritten& change) {
  at(change.at);
  auto node = writing_.extract(change.job);
  if (node.empty()) return bad_journal("has written refs that nobody found");
  for (const wire::RefFile& file : change.files) loaded_->changed_files[file.file] = file.after;
  Writing writing = std::move(node.mapped());
  AttemptEnded ended;
  ended.at = change.at;
  ended.result = std::move(writing.result);
  if (change.error) {
    ended.result.status = Outcome::kError;
    ended.result.error = change.error;
  }
  if (const auto runner = runners_.find(writing.attempt.runner); runner != runners_.end()) {
    ++runner->second.given[static_cast<std::size_t>(writing.attempt.traits().resource)];
  }
  attempts_.emplace(change.job, std::move(writing.attempt));
  return apply(ended);
}

}  // namespace sluice::scheduler
