// What the system must know of kinds of sources, a row for each: whoever wants to know something of
// a kind asks its row, and none is known by its name. What a kind does itself is elsewhere.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "model/model.h"

namespace sluice::model {

// The shape of a ref, which says what version of a source is meant; `source track` finds it.
enum class RefForm { kNone, kText, kList, kMap, kKeys, kAny };

struct SourceTraits {
  std::string_view kind;
  // kKeys: several keys of the source say it, which `ref` of a Source is a map of. kAny: what a
  // plugin says.
  RefForm ref = RefForm::kText;
  // The keys of a source that say its ref.
  std::array<std::string_view, 2> ref_keys = {"ref", ""};
  // sources/KIND/work.cc fetches it.
  bool fetched = false;
  // What it stages lies in the project (or is the workspace): nothing has to be fetched.
  bool reads_project = false;
  // Its tree enters the store when it is loaded.
  bool imported = false;
  // Changes what the sources before it have staged. It has no tree of its own that could be kept.
  bool changes_previous = false;
  // A file below one URL, whose SHA-256 is the ref.
  bool downloads = false;
  // Stands for all sources of an element while its workspace is open; nobody writes it.
  bool is_workspace = false;

  constexpr bool has_ref() const { return ref != RefForm::kNone; }
  constexpr std::span<const std::string_view> keys() const {
    return std::span(ref_keys).first(!has_ref() ? 0 : ref_keys[1].empty() ? 1 : 2);
  }
};

inline constexpr std::string_view kWorkspaceKind = "workspace";

// Kinds of which nothing is known but their names have what most have.
inline constexpr SourceTraits kOtherSource{};

inline constexpr std::array kSources = {
    SourceTraits{.kind = "bzr"},
    SourceTraits{.kind = "cargo", .ref = RefForm::kList, .fetched = true},
    SourceTraits{.kind = "cargo2", .ref = RefForm::kList, .fetched = true},
    SourceTraits{.kind = "cpan",
                 .ref = RefForm::kKeys,
                 .ref_keys = {"suffix", "sha256sum"},
                 .fetched = true},
    SourceTraits{.kind = "docker", .fetched = true},
    SourceTraits{
        .kind = "git", .ref = RefForm::kKeys, .ref_keys = {"ref", "tags"}, .fetched = true},
    SourceTraits{.kind = "git_module", .fetched = true},
    SourceTraits{.kind = "git_repo", .fetched = true},
    SourceTraits{.kind = "git_tag", .fetched = true},
    SourceTraits{
        .kind = "go_module", .ref = RefForm::kMap, .fetched = true, .changes_previous = true},
    SourceTraits{.kind = "local",
                 .ref = RefForm::kNone,
                 .fetched = true,
                 .reads_project = true,
                 .imported = true},
    SourceTraits{.kind = "patch",
                 .ref = RefForm::kNone,
                 .fetched = true,
                 .reads_project = true,
                 .changes_previous = true},
    SourceTraits{.kind = "patch_queue",
                 .ref = RefForm::kNone,
                 .fetched = true,
                 .reads_project = true,
                 .changes_previous = true},
    SourceTraits{.kind = "pip", .fetched = true},
    SourceTraits{.kind = "pypi", .ref = RefForm::kMap, .fetched = true},
    SourceTraits{.kind = "remote", .fetched = true, .downloads = true},
    SourceTraits{.kind = "tar", .fetched = true, .downloads = true},
    SourceTraits{.kind = kWorkspaceKind,
                 .ref = RefForm::kNone,
                 .fetched = true,
                 .reads_project = true,
                 .imported = true,
                 .is_workspace = true},
    SourceTraits{.kind = "zip", .fetched = true, .downloads = true},
};
static_assert(std::is_sorted(kSources.begin(), kSources.end(),
                             [](const auto& a, const auto& b) { return a.kind < b.kind; }));

constexpr const SourceTraits& source_traits(std::string_view kind) {
  const auto found = std::lower_bound(
      kSources.begin(), kSources.end(), kind,
      [](const SourceTraits& row, std::string_view wanted) { return row.kind < wanted; });
  return found != kSources.end() && found->kind == kind ? *found : kOtherSource;
}
// Kinds that are only somebody's Python.
inline constexpr SourceTraits kPluginSource{.ref = RefForm::kAny, .fetched = true};
inline constexpr SourceTraits kPluginChange{
    .ref = RefForm::kAny, .fetched = true, .changes_previous = true};

inline const SourceTraits& traits(const Source& source) {
  const SourceTraits& named = source_traits(source.kind);
  if (source.plugin.file.empty()) return named;
  // A plugin that has the name of a kind that is known writes its ref as that does.
  if (&named != &kOtherSource && !named.reads_project) return named;
  return source.plugin.changes_previous ? kPluginChange : kPluginSource;
}

inline bool has_workspace(const ElementBody& body) {
  return !body.sources.empty() && traits(body.sources.front()).is_workspace;
}

}  // namespace sluice::model
