// Whole files: read, and replace so that a reader sees the old or the new one,
// never a part. Paths are UTF-8 as given; errors name the path.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.h"

namespace sluice {

Result<std::string> read_file(const std::string& path);

// Temporary file in the same directory, then rename: safe against SIGKILL. It
// does not fsync (see store/README.md for when the store does). `mode` less the umask.
Status write_file_atomic(const std::string& path, std::string_view data, mode_t mode = 0666);

// mkdir -p; `mode`, less the umask, for those that are made.
Status make_directories(const std::string& path, mode_t mode = 0777);

// Removes a tree without following symbolic links and without leaving it by a
// race; directories that deny writing are made writable first. A path that is
// absent is no error.
Status remove_tree(const std::string& path);

bool path_exists(const std::string& path);

// The directory that holds this program's executable.
std::string executable_directory();
// Another of Sluice's programs: beside this one in a build tree, in
// ../libexec/sluice or ../bin of an installation.
std::string find_program(std::string_view name);

// $XDG_STATE_HOME/sluice, $XDG_CACHE_HOME, $XDG_CONFIG_HOME with their defaults
// below $HOME. No directory is made.
std::string state_home();
std::string cache_home();
std::string config_home();

}  // namespace sluice
