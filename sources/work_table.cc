// Table of the work of all kinds of sources that Sluice tracks, fetches and stages itself, a row
// for each.
#include <algorithm>
#include <array>

#include "model/source_kinds.h"
#include "sources/works.h"

namespace sluice::sources {

namespace {

constexpr std::array kRows = {
    WorkRow{.kind = "cargo",
            .track = cargo::track,
            .cached = cargo::cached,
            .fetch = cargo::fetch,
            .stage = cargo::stage},
    WorkRow{.kind = "cargo2",
            .track = cargo2::track,
            .cached = cargo2::cached,
            .fetch = cargo2::fetch,
            .stage = cargo2::stage},
    WorkRow{.kind = "cpan",
            .track = cpan::track,
            .cached = cpan::cached,
            .fetch = cpan::fetch,
            .stage = cpan::stage},
    WorkRow{.kind = "docker",
            .track = docker::track,
            .cached = docker::cached,
            .fetch = docker::fetch,
            .stage = docker::stage},
    WorkRow{.kind = "git",
            .track = git::track,
            .cached = git::cached,
            .fetch = git::fetch,
            .stage = git::stage,
            .init_workspace = git::init_workspace},
    WorkRow{.kind = "git",
            .way = "2.2",
            .track = git::track,
            .cached = git::cached,
            .fetch = git::fetch,
            .stage = git::stage,
            .init_workspace = git::init_workspace},
    WorkRow{.kind = "git_module",
            .track = git_module::track,
            .cached = git_module::cached,
            .fetch = git_module::fetch,
            .stage = git_module::stage,
            .init_workspace = git_module::init_workspace},
    WorkRow{.kind = "git_repo",
            .track = git_repo::track,
            .cached = git_repo::cached,
            .fetch = git_repo::fetch,
            .stage = git_repo::stage,
            .init_workspace = git_repo::init_workspace},
    WorkRow{.kind = "git_tag",
            .track = git_tag::track,
            .cached = git_tag::cached,
            .fetch = git_tag::fetch,
            .stage = git_tag::stage,
            .init_workspace = git_tag::init_workspace},
    WorkRow{.kind = "go_module",
            .track = go_module::track,
            .cached = go_module::cached,
            .fetch = go_module::fetch,
            .change = go_module::change},
    WorkRow{.kind = "go_module",
            .way = go_module::kBefore22,
            .track = go_module::track,
            .cached = go_module::cached,
            .fetch = go_module::fetch,
            .change = go_module::change,
            .init_workspace = go_module::init_workspace},
    WorkRow{.kind = "local", .stage = local::stage},
    WorkRow{.kind = "patch", .change = patch::change},
    WorkRow{.kind = "patch_queue", .change = patch_queue::change},
    WorkRow{.kind = "patch_queue", .way = "patch", .change = patch_queue::change_by_patch},
    WorkRow{.kind = "pip",
            .track = pip::track,
            .cached = pip::cached,
            .fetch = pip::fetch,
            .stage = pip::stage},
    WorkRow{.kind = "pypi",
            .track = pypi::track,
            .cached = pypi::cached,
            .fetch = pypi::fetch,
            .stage = pypi::stage},
    WorkRow{.kind = "remote",
            .track = track_download,
            .cached = cached_download,
            .fetch = fetch_download,
            .stage = remote::stage},
    WorkRow{.kind = "tar",
            .track = track_download,
            .cached = cached_download,
            .fetch = fetch_download,
            .stage = tar::stage},
    WorkRow{.kind = "workspace", .stage = local::stage},
    WorkRow{.kind = "zip",
            .track = track_download,
            .cached = cached_download,
            .fetch = fetch_download,
            .stage = zip::stage},
};

// Kinds that are only somebody's Python.
constexpr WorkRow kPlugin{.track = plugin::track,
                          .cached = plugin::cached,
                          .fetch = plugin::fetch,
                          .stage = plugin::stage,
                          .init_workspace = plugin::init_workspace};
constexpr WorkRow kPluginChange{.track = plugin::track,
                                .cached = plugin::cached,
                                .fetch = plugin::fetch,
                                .change = plugin::change,
                                .init_workspace = plugin::init_workspace};

}  // namespace

std::span<const WorkRow> work_rows() { return kRows; }

const WorkRow* find_work(std::string_view kind, std::string_view way) {
  const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const WorkRow& row) {
    return row.kind == kind && row.way == way;
  });
  return found != kRows.end() ? &*found : nullptr;
}

const WorkRow* find_work(const model::Source& source) {
  if (source.plugin.file.empty()) return find_work(source.kind, source.works_as);
  return model::traits(source).changes_previous ? &kPluginChange : &kPlugin;
}

}  // namespace sluice::sources
