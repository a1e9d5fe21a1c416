// Paths in a sandbox's root, and what is found there by them before anything runs in it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/node.h"
#include "store/tree.h"

namespace sluice::elements {

inline constexpr std::string_view kTemporary = "/tmp";

// "/a/b/" and "//a/b" as "/a/b", "/a/../b" as "/b". Errors: "sandbox"/"bad-path" for a path that
// isn't absolute or leads out of the root.
Result<std::string> normal_root_path(std::string_view path);

// Whether `path` is `directory` or lies in it. Both are as normal_root_path() gives them.
bool is_in(std::string_view path, std::string_view directory);

// Whether a program is there, by its path or in PATH of `environment` (/bin and /usr/bin without
// one). Symbolic links are followed inside of the root, as the sandbox will. Errors: the store's,
// when it lacks a part of the root.
Result<bool> has_command(const store::Tree& root, const std::string& command,
                         const model::StringMap& environment);

// Whether /tmp of the root holds something, be it only `directory` to work in: then commands see
// that, and may write there. An empty one is hidden by a tmpfs.
Result<bool> has_own_temporary(const store::Tree& root, std::string_view directory);

}  // namespace sluice::elements
