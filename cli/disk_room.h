// What is said of a failure for which a full filesystem is the reason, since nothing could be
// written about it there.
#pragma once

#include <string>

#include <sys/statvfs.h>

namespace sluice::cli {

// "" unless less is left than a session writes when nothing is to do.
inline std::string no_room_hint(const std::string& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0 || info.f_bavail * info.f_frsize >= (256u << 10))
    return {};
  return ". There is no room left on that filesystem";
}

}  // namespace sluice::cli
