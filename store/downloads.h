// Directories of downloaded sources, shared with BuildStream: SOURCEDIR/KIND/URL-AS-A-NAME/.
#pragma once

#include <string>
#include <string_view>

#include "model/model.h"

namespace sluice::store {

// The directory of what a kind of source has from one URL, which is written with its alias.
std::string mirror_directory(const model::Settings& settings, std::string_view kind,
                             std::string_view url);

// The directory of a source's downloads. Of the URL's characters (not
// bytes) all but letters, digits, '%' and '_' become '_'. "" for a source that has no URL.
std::string download_directory(const model::Settings& settings, const model::Source& source);
// The file of a source whose kind downloads one, by its ref; "" for a source that has no URL or no
// ref.
std::string download_path(const model::Settings& settings, const model::Source& source);

}  // namespace sluice::store
