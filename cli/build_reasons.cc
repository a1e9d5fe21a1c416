#include "cli/build_reasons.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "history/measures.h"
#include "model/actions.h"
#include "model/names.h"
#include "wire/record_file.h"

namespace sluice::cli {

namespace {

using store::ArtifactInfo;

// The history of a session, when it is one of that project; what another one's costs is a few
// records.
std::optional<history::History> history_of(const std::string& id, const std::string& project) {
  const auto paths = wire::SessionPaths::of(id);
  if (!paths) return {};
  history::Gatherer gatherer({});
  bool other = false;
  const auto read = wire::read_records(*paths, 1, [&](std::string_view packed) {
    if (!gatherer.add(packed)) return true;
    const std::string& name = gatherer.history().project;
    other = !name.empty() && name != project;
    return !other;
  });
  if (!read || other || gatherer.history().runs.empty()) return {};
  gatherer.settle(paths->over());
  return gatherer.take();
}

// An element as a session has left it.
struct Known {
  std::string project, key;
  bool built = false;  // or it was tried
  bool failed = false;
};

std::map<std::string, Known> elements_of(const history::History& history) {
  std::map<std::string, Known> out;
  for (const history::Run& run : history.runs) {
    for (const history::Element& element : run.elements) {
      Known& known = out[element.name];
      known.project = element.project;
      if (!element.key.empty()) known.key = element.key;
      for (const std::size_t index : element.jobs) {
        const history::Job& job = history.jobs[index];
        if (model::named<model::Action>(job.action) != model::Action::kBuild || job.running())
          continue;
        known.built = true;
        known.failed = job.failed();
        if (!job.key.empty()) known.key = job.key;
      }
    }
  }
  return out;
}

std::string own_name(const std::string& full_name) {
  return full_name.substr(full_name.rfind(':') + 1);
}

class Store {
 public:
  static Result<std::optional<Store>> open(const history::History& history) {
    const auto& heading = history.runs.back().heading;
    // A store that is gone isn't made anew by who asks what was in it.
    if (!heading || heading->cachedir.empty() || !path_exists(heading->cachedir + "/cas"))
      return std::optional<Store>();
    return std::optional(Store(TRY(store::Cas::open(heading->cachedir))));
  }

  Result<std::optional<Comparison>> compare(const std::string& name, const Known& now,
                                            const std::string& before) {
    const store::Artifacts artifacts(*cas_);
    const auto peek = [&](const std::string& key) {
      return artifacts.peek(model::artifact_ref(now.project, own_name(name), key));
    };
    const auto old = TRY(peek(before));
    const auto fresh = TRY(peek(now.key));
    if (!old || !fresh) return std::optional<Comparison>();
    return std::optional(TRY(compare_artifacts(*cas_, *old, *fresh, nullptr)));
  }

 private:
  explicit Store(store::Cas cas) : cas_(std::make_unique<store::Cas>(std::move(cas))) {}
  std::unique_ptr<store::Cas> cas_;
};

}  // namespace

Result<std::map<std::string, BuildReason>> build_reasons(const history::History& session,
                                                         const std::string& element,
                                                         std::size_t sessions) {
  std::map<std::string, BuildReason> out;
  std::map<std::string, Known> open;
  if (session.runs.empty()) return out;
  for (auto& [name, known] : elements_of(session)) {
    if (known.built && (element.empty() || name == element)) open.emplace(name, std::move(known));
  }
  auto store = TRY(Store::open(session));
  std::vector<std::string> ids = wire::list_session_ids();
  std::sort(ids.rbegin(), ids.rend());
  for (const std::string& id : ids) {
    if (open.empty() || sessions == 0) break;
    if (id >= session.session) continue;
    const auto earlier = history_of(id, session.project);
    if (!earlier) continue;
    --sessions;
    for (const auto& [name, then] : elements_of(*earlier)) {
      const auto at = open.find(name);
      if (at == open.end() || then.key.empty()) continue;
      const Known& now = at->second;
      BuildReason reason{"changed", id, then.key, now.key, {}};
      if (now.key == then.key) {
        reason.what = then.failed ? "failed-then" : "again";
      } else if (store && !now.key.empty()) {
        reason.comparison = TRY(store->compare(name, now, then.key));
      }
      out.emplace(name, std::move(reason));
      open.erase(at);
    }
  }
  for (const auto& [name, now] : open) out.emplace(name, BuildReason{"first", "", "", now.key, {}});
  return out;
}

std::string sentence(const BuildReason& reason) {
  if (reason.what == "first")
    return "No earlier session of this project that is still known here had it.";
  if (reason.what == "failed-then")
    return fmt::format("Its key is that of session {}, where it failed.", reason.session);
  if (reason.what == "again")
    return fmt::format("Its key is that of session {}; there was no artifact of it in the cache.",
                       reason.session);
  std::string out = fmt::format("Its key has changed since session {}", reason.session);
  if (!reason.comparison)
    return out + "; by what is unknown: one of the two artifacts isn't in the cache any more.";
  const Comparison& c = *reason.comparison;
  std::vector<std::string> parts;
  if (!c.changes.empty()) parts.emplace_back("it says something else itself");
  if (!c.dependencies.empty()) parts.emplace_back("what it is built with has changed");
  if (!c.unknown.empty()) {
    std::string names;
    for (const std::string& name : c.unknown) names += (names.empty() ? "" : ", ") + name;
    parts.push_back(fmt::format("unknown is whether this has changed: {}", names));
  }
  std::string separator = ": ";
  for (const std::string& part : parts) out += std::exchange(separator, "; ") + part;
  return out + ".";
}

}  // namespace sluice::cli
