// A file that an index names, below a URL that many share: distributions of Python and Perl. What
// the ref's `suffix` adds to the URL is the file; its `sha256sum` says what it must be. It is kept
// below the source directory under the name that the source gives.
#pragma once

#include <cstddef>
#include <string>

#include "sources/work.h"

namespace sluice::sources {

// What an index may have: the whole of CPAN's is some 30 MB, unpacked.
inline constexpr std::size_t kMaxIndex = std::size_t{128} << 20;

Result<bool> has_indexed_file(const model::Source& source, Surroundings& surroundings);
Status fetch_indexed_file(const model::Source& source, Surroundings& surroundings);
// Unpacks it, a zip or else a tar archive; the first directory of each name is cut off.
Result<model::Digest> stage_indexed_file(const model::Source& source, Surroundings& surroundings);
// The SHA-256 of the file that a suffix names now, which is downloaded.
Result<std::string> track_indexed_file(const model::Source& source, Surroundings& surroundings,
                                       const std::string& suffix);
// What an index has to say, by one of its URLs.
Result<std::string> read_index(const model::Source& source, Surroundings& surroundings,
                               const std::vector<std::string>& urls,
                               std::vector<std::string> headers = {});
// A ref of several keys, shown as Python shows a dictionary of texts.
Found found_map(model::NodeMap map);

}  // namespace sluice::sources
