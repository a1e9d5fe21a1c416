// What the system must know of kinds of sources, a row for each: whoever wants to know something of a kind asks its row, and none is
// known by its name. What a kind does itself is elsewhere.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "model/model.h"

namespace sluice::model {

struct SourceTraits {
  std::string_view kind;
  // Somebody must say which version is meant; `source track` finds it.
  bool has_ref = true;
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
};

// Kinds of which nothing is known but their names have what most have.
inline constexpr SourceTraits kOtherSource{};

inline constexpr std::array kSources = {
    SourceTraits{.kind = "bzr"},
    SourceTraits{.kind = "cargo"},
    SourceTraits{.kind = "cpan"},
    SourceTraits{.kind = "deb", .downloads = true},
    SourceTraits{.kind = "docker"},
    SourceTraits{.kind = "git"},
    SourceTraits{.kind = "git_repo"},
    SourceTraits{.kind = "go_module"},
    SourceTraits{.kind = "local", .has_ref = false, .reads_project = true, .imported = true},
    SourceTraits{.kind = "patch", .has_ref = false, .reads_project = true, .changes_previous = true},
    SourceTraits{.kind = "patch_queue", .has_ref = false, .reads_project = true, .changes_previous = true},
    SourceTraits{.kind = "pip"},
    SourceTraits{.kind = "pypi"},
    SourceTraits{.kind = "remote", .downloads = true},
    SourceTraits{.kind = "tar", .downloads = true},
    SourceTraits{.kind = "workspace", .has_ref = false, .reads_project = true, .imported = true, .is_workspace = true},
    SourceTraits{.kind = "zip", .downloads = true},
};
static_assert(std::is_sorted(kSources.begin(), kSources.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; }));

constexpr const SourceTraits& source_traits(std::string_view kind) {
  const auto found = std::lower_bound(kSources.begin(), kSources.end(), kind, [](const SourceTraits& row, std::string_view wanted) { return row.kind < wanted; });
  return found != kSources.end() && found->kind == kind ? *found : kOtherSource;
}
inline const SourceTraits& traits(const Source& source) { return source_traits(source.kind); }

inline bool has_workspace(const ElementBody& body) { return !body.sources.empty() && traits(body.sources.front()).is_workspace; }

}  // namespace sluice::model
