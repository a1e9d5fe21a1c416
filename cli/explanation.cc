#include "cli/explanation.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/snapshot.h"
#include "yaml/dump.h"

namespace sluice::cli {

namespace {

using model::Element;
using model::ElementIndex;
using store::ArtifactInfo;

constexpr std::size_t kShownFiles = 20;
constexpr ElementIndex kNone = Graph::kUnreached;

class Explainer {
 public:
  Explainer(const model::Snapshot& snapshot, States& states, const LoadBodies& load_bodies)
      : snapshot_(snapshot), states_(states), load_bodies_(load_bodies) {}

  Result<Explanation> run(ElementIndex index, const std::string& against) {
    const Element& element = snapshot_.elements[index];
    Explanation out;
    out.element = element.full_name;
    out.key = element.keys.full;
    out.weak_key = element.keys.weak;
    out.strict = snapshot_.settings.strict;
    CHECK(judge(index, out));
    if (out.verdict != "changed" && against.empty()) return out;

    auto artifact = TRY(against.empty() ? newest(index) : chosen(index, against));
    if (!artifact) {
      if (out.verdict == "changed") out.verdict = "never-built";
      return out;
    }
    out.compared_key = artifact->strong_key;
    out.compared_success = artifact->build_success;
    auto changed = TRY(changed_dependencies(index, *artifact));
    std::vector<ElementIndex> wanted;
    if (artifact->weak_key != element.keys.weak) wanted.push_back(index);
    for (const ChangedDependency& each : changed) {
      if (each.compared) wanted.push_back(each.element);
    }
    if (!wanted.empty()) {
      CHECK(load_bodies_(wanted));
    }
    out.comparison = TRY(compare(index, *artifact));
    out.causes = TRY(find_causes(index, changed));
    return out;
  }

 private:
  // Finds every verdict that needs no comparison; "changed" is what's left.
  Status judge(ElementIndex index, Explanation& out) {
    const Element& element = snapshot_.elements[index];
    if (!element.builds) {
      out.verdict = "no-artifact";
      return {};
    }
    if (!element.sources_resolved) {
      out.verdict = "no-reference";
      return {};
    }
    if (element.unsupported_by != 0) {
      out.verdict = "unsupported";
      out.detail =
          snapshot_.elements[element.unsupported_by - 1].obstacle(model::Obstacle::To::kKey)->str();
      return {};
    }
    if (element.keys.full.empty()) {
      out.verdict = "unknown-key";
      for (const ElementIndex below : build_closure(index)) {
        const Element& dependency = snapshot_.elements[below];
        if (!dependency.sources_resolved)
          out.detail += (out.detail.empty() ? "" : ", ") + dependency.full_name;
      }
      return {};
    }
    auto cached = TRY(states_.artifact(index));
    // A build that isn't strict takes no failure of other dependencies.
    const bool taken = cached != nullptr && (cached->build_success || snapshot_.settings.strict ||
                                             cached->strong_key == element.keys.strict);
    if (taken) {
      out.verdict = cached->build_success ? "cached" : "failed";
      if (!cached->build_success) out.detail = cached->build_error;
      return {};
    }
    auto there = TRY(states_.artifacts().peek(ref(element, element.keys.full)));
    if (there) {
      out.verdict = "incomplete";
      out.detail = fmt::format("{}", states_.artifacts().missing(*there).size());
      return {};
    }
    out.verdict = "changed";
    return {};
  }

  std::string ref(const Element& element, const std::string& key) const {
    return store::artifact_ref(snapshot_.projects[element.project].name, element.name, key);
  }

  // The elements of the list of dependencies that keys have, in its order: the runtime closures of
  // direct build dependencies, what is needed first.
  std::vector<ElementIndex> build_closure(ElementIndex index) {
    std::vector<ElementIndex> list;
    ++round_;
    marks_.resize(snapshot_.elements.size());
    std::vector<std::pair<ElementIndex, std::size_t>> path;
    for (const auto& direct : snapshot_.elements[index].dependencies) {
      if (!direct.build || marks_[direct.element] == round_) continue;
      marks_[direct.element] = round_;
      path.emplace_back(direct.element, 0);
      while (!path.empty()) {
        auto& [at, next] = path.back();
        const auto& dependencies = snapshot_.elements[at].dependencies;
        while (next < dependencies.size() &&
               (!dependencies[next].runtime || marks_[dependencies[next].element] == round_))
          ++next;
        if (next == dependencies.size()) {
          list.push_back(at);
          path.pop_back();
          continue;
        }
        const ElementIndex below = dependencies[next++].element;
        marks_[below] = round_;
        path.emplace_back(below, 0);
      }
    }
    return list;
  }

  // The artifact used last whose key isn't the current one.
  Result<std::optional<ArtifactInfo>> newest(ElementIndex index) {
    const Element& element = snapshot_.elements[index];
    auto refs =
        TRY(states_.artifacts().list_of(snapshot_.projects[element.project].name, element.name));
    for (auto each = refs.rbegin(); each != refs.rend(); ++each) {
      auto info = TRY(states_.artifacts().peek(*each));
      if (info && info->strong_key != element.keys.full) return info;
    }
    return std::optional<ArtifactInfo>();
  }

  Result<std::optional<ArtifactInfo>> chosen(ElementIndex index, const std::string& against) {
    const Element& element = snapshot_.elements[index];
    auto refs =
        TRY(states_.artifacts().list_of(snapshot_.projects[element.project].name, element.name));
    std::optional<ArtifactInfo> found;
    for (const auto& each : refs) {
      auto info = TRY(states_.artifacts().peek(each));
      if (!info || !info->strong_key.starts_with(against) ||
          (found && found->strong_key == info->strong_key))
        continue;
      if (found)
        return fail("app", "no-such-artifact",
                    fmt::format("{} has several artifacts whose keys begin with {}",
                                element.full_name, against));
      found = std::move(info);
    }
    if (!found)
      return fail("app", "no-such-artifact",
                  fmt::format("{} has no artifact in the cache whose key begins with {}",
                              element.full_name, against));
    return found;
  }

  Result<Comparison> compare(ElementIndex index, const ArtifactInfo& artifact) {
    const Element& element = snapshot_.elements[index];
    Comparison out;
    auto inputs = TRY(kept_inputs(states_.cas(), artifact));
    out.inputs_kept = inputs.has_value();
    out.same_weak_key = artifact.weak_key == element.keys.weak;
    out.dependencies = changed_build_dependencies(index, artifact);
    // All that an element says itself is in its weak key.
    if (out.same_weak_key) return out;
    auto body = TRY(wire::unpack_body(element.body));
    out.inputs_kept = out.inputs_kept && !body.key_inputs.empty();
    if (out.inputs_kept) {
      auto changes = TRY(compare_key_inputs(*inputs, body.key_inputs, body));
      out.changes = std::move(changes);
      for (std::size_t i = 0; i < out.changes.size(); ++i) {
        const Change& change = out.changes[i];
        if (change.path.empty() || !change.before) continue;
        out.files[i] = changed_files(states_.cas(), *change.before, change.path, kShownFiles);
      }
    }
    if (out.inputs_kept && out.changes.empty()) return out;
    auto meta = store::read_meta(states_.cas(), artifact);
    if (meta) {
      // Artifacts hold stripped texts.
      out.variables = compare_maps("variable", meta->variables, yaml::stripped(body.variables));
      if (!out.inputs_kept) {
        const store::ArtifactMeta now{yaml::stripped(body.public_data),
                                      yaml::stripped(body.environment),
                                      store::sandbox_config_node(body.sandbox),
                                      {}};
        out.changes = compare_meta(*meta, now, body.environment_nocache);
      }
    } else if (!out.inputs_kept) {
      out.unknown = {"environment", "sandbox", "public"};
    }
    if (!out.inputs_kept) {
      const auto unknown = unknown_parts();
      out.unknown.insert(out.unknown.begin(), unknown.begin(), unknown.end());
    }
    return out;
  }

  std::vector<DependencyChange> changed_build_dependencies(ElementIndex index,
                                                           const ArtifactInfo& artifact) {
    std::vector<BuiltWith> now;
    for (const ElementIndex below : build_closure(index)) {
      const Element& dependency = snapshot_.elements[below];
      now.push_back({snapshot_.projects[dependency.project].name, dependency.name,
                     dependency.full_name, dependency.keys.full});
    }
    return compare_dependencies(artifact.build_deps, now);
  }

  struct ChangedDependency {
    ElementIndex element = 0;
    std::string before;     // its key then
    bool gone = false;      // its artifact of then
    bool compared = false;  // by its body too: more than keys of dependencies changed
  };

  // The dependencies, through others too, whose keys changed: each element is looked at once.
  Result<std::vector<ChangedDependency>> changed_dependencies(ElementIndex index,
                                                              const ArtifactInfo& artifact) {
    std::vector<ChangedDependency> changed;
    std::vector<bool> seen(snapshot_.elements.size());
    const auto open = [&](ElementIndex of, const ArtifactInfo& then) {
      std::map<std::pair<std::string_view, std::string_view>, std::string_view> keys;
      for (const auto& each : then.build_deps)
        keys.emplace(std::pair(std::string_view(each.project), std::string_view(each.element)),
                     each.key);
      for (const ElementIndex below : build_closure(of)) {
        const Element& dependency = snapshot_.elements[below];
        const auto known =
            keys.find({snapshot_.projects[dependency.project].name, dependency.name});
        if (seen[below] || known == keys.end() || known->second == dependency.keys.full) continue;
        seen[below] = true;
        changed.push_back({below, std::string(known->second)});
      }
    };
    open(index, artifact);
    for (std::size_t at = 0; at < changed.size(); ++at) {
      const Element& element = snapshot_.elements[changed[at].element];
      auto then = TRY(states_.artifacts().peek(ref(element, changed[at].before)));
      changed[at].gone = !then;
      if (!then) continue;
      changed[at].compared = then->weak_key != element.keys.weak;
      open(changed[at].element, *then);
    }
    return changed;
  }

  // The changed dependencies of which more than the keys of their own dependencies changed.
  Result<std::vector<Cause>> find_causes(ElementIndex index,
                                         const std::vector<ChangedDependency>& changed) {
    const auto parents = changed.empty() ? std::vector<ElementIndex>() : parents_from(index);
    std::vector<Cause> causes;
    for (const ChangedDependency& each : changed) {
      const Element& element = snapshot_.elements[each.element];
      Cause cause{element.full_name, {}, each.gone ? "gone" : "changed", each.before,
                  element.keys.full, {}};
      if (!each.gone) {
        auto then = TRY(states_.artifacts().peek(ref(element, each.before)));
        if (!then) continue;  // expired meanwhile
        auto comparison = TRY(compare(each.element, *then));
        if (!comparison.own()) continue;
        cause.comparison = std::move(comparison);
      }
      for (ElementIndex step = each.element; step != kNone; step = parents[step])
        cause.chain.push_back(snapshot_.elements[step].full_name);
      std::reverse(cause.chain.begin(), cause.chain.end());
      causes.push_back(std::move(cause));
    }
    std::stable_sort(causes.begin(), causes.end(), [](const Cause& a, const Cause& b) {
      return a.chain.size() < b.chain.size();
    });
    return causes;
  }

  // For each element the one before it on a shortest chain from `index` whose first step is a build
  // dependency.
  std::vector<ElementIndex> parents_from(ElementIndex index) const {
    std::vector<ElementIndex> parents(snapshot_.elements.size(), kNone);
    std::vector<ElementIndex> queue = {index};
    std::vector<bool> seen(snapshot_.elements.size());
    seen[index] = true;
    for (std::size_t at = 0; at < queue.size(); ++at) {
      for (const auto& dependency : snapshot_.elements[queue[at]].dependencies) {
        if (seen[dependency.element] || (queue[at] == index && !dependency.build)) continue;
        seen[dependency.element] = true;
        parents[dependency.element] = queue[at];
        queue.push_back(dependency.element);
      }
    }
    return parents;
  }

  const model::Snapshot& snapshot_;
  States& states_;
  const LoadBodies& load_bodies_;
  std::vector<std::uint32_t> marks_;
  std::uint32_t round_ = 0;
};

}  // namespace

Result<Explanation> explain(const model::Snapshot& snapshot, States& states, ElementIndex element,
                            const std::string& against, const LoadBodies& load_bodies) {
  return Explainer(snapshot, states, load_bodies).run(element, against);
}

}  // namespace sluice::cli
