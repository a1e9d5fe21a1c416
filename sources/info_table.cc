// Table of what kinds of sources tell of where they come from, a row for each.
#include <array>

#include "sources/infos.h"

namespace sluice::sources {

namespace {

constexpr std::array kRows = {
    InfoRow{"bzr", bzr::info},
    InfoRow{"cargo", cargo::info},
    InfoRow{"cargo2", cargo2::info},
    InfoRow{"cpan", cpan::info},
    InfoRow{"docker", docker::info},
    InfoRow{"git", git::info},
    InfoRow{"git_module", git_module::info},
    InfoRow{"git_repo", git_repo::info},
    InfoRow{"git_tag", git_tag::info},
    InfoRow{"go_module", go_module::info},
    InfoRow{"local", local::info},
    InfoRow{"patch", patch::info},
    InfoRow{"patch_queue", patch_queue::info},
    InfoRow{"pip", pip::info},
    InfoRow{"pypi", pypi::info},
    InfoRow{"remote", download_info},
    InfoRow{"tar", download_info},
    InfoRow{"workspace", local::workspace_info},
    InfoRow{"zip", download_info},
};

}  // namespace

std::span<const InfoRow> info_rows() { return kRows; }

}  // namespace sluice::sources
