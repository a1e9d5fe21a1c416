#include "elements/staging.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/reporter.h"
#include "store/artifact.h"

namespace sluice::elements {

namespace {

std::string join(std::string_view location, std::string_view path) {
  std::string out(location);
  if (out.empty() || out.back() != '/') out += '/';
  out += path;
  return out;
}

}  // namespace

std::string brief_key(const std::string& key) { return key.substr(0, 8); }

Selection everything(const std::vector<model::ArtifactRef>& all) {
  Selection out;
  out.reserve(all.size());
  for (const auto& artifact : all) out.push_back(&artifact);
  return out;
}

Result<Selection> runtime_closure(const std::vector<model::ArtifactRef>& all,
                                  const std::vector<model::ElementIndex>& direct) {
  std::unordered_map<model::ElementIndex, const model::ArtifactRef*> by_index;
  for (const auto& artifact : all) by_index.emplace(artifact.index, &artifact);
  Selection out;
  std::set<model::ElementIndex> visited;
  // The walk goes depth first without recursion, since a chain may be as long as a project.
  struct Frame {
    const model::ArtifactRef* artifact;
    std::size_t next = 0;
  };
  for (const model::ElementIndex start : direct) {
    std::vector<Frame> stack;
    const auto enter = [&](model::ElementIndex index) -> Status {
      if (!visited.insert(index).second) return {};
      const auto found = by_index.find(index);
      if (found == by_index.end()) {
        return fail("job", "bad-job",
                    fmt::format("The job names dependency {} but doesn't have it", index));
      }
      stack.push_back({found->second});
      return {};
    };
    CHECK(enter(start));
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next < frame.artifact->runtime_dependencies.size()) {
        const model::ElementIndex next = frame.artifact->runtime_dependencies[frame.next++];
        CHECK(enter(next));
      } else {
        out.push_back(frame.artifact);
        stack.pop_back();
      }
    }
  }
  return out;
}

Result<model::Node> public_data_of(const store::Cas& cas, const model::ArtifactRef& artifact) {
  if (artifact.public_data.empty()) return model::Node::make_map();
  auto data = store::read_public_data(cas, artifact.public_data);
  if (!data) data.error().message = artifact.full_name + ": " + data.error().message;
  return data;
}

Result<std::optional<model::Node>> public_data_with(const store::Cas& cas,
                                                    const model::ArtifactRef& artifact,
                                                    std::string_view key) {
  if (artifact.public_data.empty()) return std::nullopt;
  auto text = TRY(cas.read(artifact.public_data));
  // A key in the text is always plain: neither BuildStream nor we write keys with escapes.
  if (text.find(key) == std::string::npos) return std::nullopt;
  auto data = TRY(public_data_of(cas, artifact));
  return std::optional<model::Node>(std::move(data));
}

Result<std::optional<model::Node>> public_domain(const store::Cas& cas,
                                                 const model::ArtifactRef& artifact,
                                                 std::string_view domain) {
  auto data = TRY(public_data_with(cas, artifact, domain));
  model::Node* found = data ? data->find(domain) : nullptr;
  if (found == nullptr) return std::nullopt;
  if (!found->is_map()) {
    return fail("load", "invalid-data",
                fmt::format("The public data '{}' of {} is no map", domain, artifact.full_name));
  }
  return std::optional<model::Node>(std::move(*found));
}

Status Staging::warn(std::string_view token, std::string_view text, const std::string& detail) {
  return reporter_.warn(fatal_warnings_, token, text, detail);
}

bool Staging::has_file(const Staged& staged, const std::string& path) {
  if (staged.chosen && !staged.chosen->contains(path)) return false;
  const model::ArtifactRef& artifact = *staged.artifact;
  auto tree = trees_.find(&artifact);
  if (tree == trees_.end()) {
    auto opened = store::Tree::open(cas_, artifact.files);
    if (!opened) return false;
    tree = trees_.emplace(&artifact, std::move(*opened)).first;
  }
  const auto entry = tree->second.find(path);
  return entry && *entry && (*entry)->type != store::EntryType::kDirectory;
}

Result<bool> Staging::whitelisted(const model::ArtifactRef& artifact, const std::string& path) {
  auto globs = whitelists_.find(&artifact);
  if (globs == whitelists_.end()) {
    auto data = TRY(public_data_with(cas_, artifact, "overlap-whitelist"));
    std::vector<std::string> patterns;
    if (data) {
      if (const model::Node* bst = data->find("bst"))
        patterns = bst->get_strings("overlap-whitelist");
    }
    globs = whitelists_.emplace(&artifact, GlobSet(patterns)).first;
  }
  return globs->second.matches(join("/", path));
}

Status Staging::stage(store::Tree& root, const Selection& selection, std::string_view location,
                      const SplitRules::Choice* choice, OverlapAction action,
                      store::MergeReport* last) {
  Session session;
  session.location = location;
  session.action = action;
  // Each path with the artifacts that have it, as positions in session.staged, the lowest first.
  std::vector<std::pair<std::string, std::vector<std::size_t>>> overlaps;
  std::unordered_map<std::string, std::size_t> overlap_of;
  std::vector<std::pair<std::size_t, std::vector<std::string>>> ignored;
  const std::string at = TRY(store::walk_path("", location));
  CHECK(root.make_directory(at));
  for (const model::ArtifactRef* artifact : selection) {
    const std::string brief = brief_key(artifact->key);
    reporter_.message_as({artifact->full_name, brief}, Level::kStatus,
                         fmt::format("Staging {}/{}", artifact->element, brief));
    const std::size_t position = session.staged.size();
    session.staged.push_back({artifact, std::nullopt});
    // A stack has no files at all in some artifacts.
    if (artifact->files.empty()) continue;
    store::MergeReport report;
    report.list_written = last != nullptr && artifact == selection.back();
    store::Tree::Filter filter;
    if (choice != nullptr && !choice->everything()) {
      auto paths = TRY(manifest_of(cas_, *artifact, *choice));
      auto& chosen = session.staged.back().chosen;
      chosen.emplace(std::make_move_iterator(paths.begin()), std::make_move_iterator(paths.end()));
      filter = [&chosen](std::string_view path) { return chosen->contains(std::string(path)); };
    }
    auto merged = root.merge(artifact->files, at, filter, &report);
    if (!merged) {
      merged.error().message =
          fmt::format("Staging {}: {}", artifact->full_name, merged.error().message);
      return merged;
    }
    if (report.list_written) *last = report;
    for (std::string& path : report.overwritten) {
      const auto [entry, fresh] = overlap_of.emplace(path, overlaps.size());
      if (fresh) {
        overlaps.emplace_back(path, std::vector<std::size_t>{});
        for (std::size_t i = 0; i < position; ++i) {
          if (!has_file(session.staged[i], path)) continue;
          overlaps.back().second.push_back(i);
          break;
        }
      }
      overlaps[entry->second].second.push_back(position);
    }
    if (!report.ignored.empty()) ignored.emplace_back(position, std::move(report.ignored));
  }
  auto warned = warn_about(session, overlaps, ignored);
  sessions_.push_back(std::move(session));
  return warned;
}

Status Staging::warn_about(
    const Session& session,
    const std::vector<std::pair<std::string, std::vector<std::size_t>>>& overlaps,
    const std::vector<std::pair<std::size_t, std::vector<std::string>>>& ignored) {
  std::vector<std::pair<std::string, const model::ArtifactRef*>> external;
  bool forbidden = false;
  std::string detail =
      fmt::format("Staged files overwrite existing files in staging area: {}\n", session.location);
  for (const auto& [path, who] : overlaps) {
    if (who.size() == 1) {
      external.emplace_back(path, session.staged[who[0]].artifact);
      continue;
    }
    std::string names;
    unsigned count = 0;
    for (std::size_t i = 1; i < who.size(); ++i) {
      auto allowed = TRY(whitelisted(*session.staged[who[i]].artifact, path));
      if (allowed) continue;
      if (count++ > 0) names += " and ";
      names += session.staged[who[i]].artifact->full_name;
    }
    if (count == 0) continue;
    forbidden = true;
    std::string order;
    for (auto i = who.rbegin(); i != who.rend(); ++i) {
      if (i != who.rbegin()) order += " above ";
      order += session.staged[*i].artifact->full_name;
    }
    detail += fmt::format("{}: {} {} not permitted to overlap other elements, order {} \n",
                          join(session.location, path), names, count == 1 ? "is" : "are", order);
  }
  if (forbidden) {
    CHECK(warn("overlaps", "Non-whitelisted overlaps detected", detail));
  }
  if (!ignored.empty()) {
    std::string text = fmt::format(
        "Not staging files which would replace non-empty directories in staging area: {}\n",
        session.location);
    for (const auto& [position, paths] : ignored) {
      text += fmt::format("\nFrom {}:\n", session.staged[position].artifact->full_name);
      for (const std::string& path : paths)
        text += fmt::format("  {}\n", join(session.location, path));
    }
    CHECK(warn("unstaged-files",
               "Not staging files which would have replaced non-empty directories", text));
  }
  if (!external.empty() && session.action != OverlapAction::kIgnore) {
    std::string text =
        fmt::format("Detected file overlaps while staging elements into: {}\n", session.location);
    bool found_any = false;
    for (const auto& [path, artifact] : external) {
      const std::string absolute = join(session.location, path);
      for (auto before = sessions_.rbegin(); before != sessions_.rend(); ++before) {
        const std::string prefix = join(before->location, "");
        if (absolute.compare(0, prefix.size(), prefix) != 0) continue;
        const std::string relative = absolute.substr(prefix.size());
        const auto owner =
            std::find_if(before->staged.begin(), before->staged.end(),
                         [&](const Staged& other) { return has_file(other, relative); });
        if (owner == before->staged.end()) continue;
        text += fmt::format("{}: {} overlaps files previously staged by {} in: {}\n", absolute,
                            artifact->full_name, owner->artifact->full_name, before->location);
        found_any = true;
        break;
      }
    }
    if (found_any && session.action == OverlapAction::kError)
      return fail("element", "overlaps", "Overlaps detected", {}, text);
    if (found_any) return warn("overlaps", "Overlaps detected", text);
  }
  return {};
}

}  // namespace sluice::elements
