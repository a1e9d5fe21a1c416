// Refs are the small files of protobuf messages that name what is in the store. Internal to store/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

// Replaces the file at `relative` below the cachedir, making directories on the
// way. The temporary file lies in sluice/tmp, so that no half of a ref is ever
// listed as one.
Status write_ref(Cas& cas, const std::string& relative, std::string_view bytes);
// The bytes of the file; std::nullopt when there is none.
Result<std::optional<std::string>> read_ref(const Cas& cas, const std::string& relative);

// The root that a Source message at `relative` names, whole or not; std::nullopt when there is none
// or it is damaged.
Result<std::optional<Digest>> peek_source(const Cas& cas, const std::string& relative);

// Whether a text is 64 lower-case hexadecimal digits, as a ref's last part is.
bool valid_key(std::string_view key);

struct RefFile {
  std::string path;  // relative to the directory that was listed
  std::int64_t mtime_ns = 0;
};
// The files named by a key below `relative`, `levels` directories down, least recently used first.
Result<std::vector<RefFile>> list_refs(const Cas& cas, const std::string& relative,
                                       unsigned levels);

}  // namespace sluice::store
