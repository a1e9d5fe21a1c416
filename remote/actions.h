// Messages of remote execution that are blobs: what BuildStream's sandbox makes of a command
// (buildstream/sandbox/_sandboxreapi.py), to the last byte, so that results in action caches are
// the same for both; and Tree, in which a server may give a directory. No gRPC.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/cas.h"
#include "wire/execute_protocol.h"

namespace sluice::remote {

// The Command, with its outputs relative to where it runs.
std::string encode_command(const wire::ExecuteRequest& request);
// The Action. There is neither a timeout in it nor `do_not_cache`.
std::string encode_action(const wire::ExecuteRequest& request, const store::Digest& command);

// An absolute path as one relative to the absolute `directory` (Python's os.path.relpath()).
std::string relative_path(std::string_view path, std::string_view directory);

// The Directory messages of a Tree, its root first. Error: "remote"/"misbehaved".
Result<std::vector<std::string>> directories_of_tree(std::string_view bytes);

}  // namespace sluice::remote
