// Apart from file.cc: a program that is linked statically can't ask for the user's entry.
#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

#include "base/file.h"

namespace sluice {

namespace {

std::string home() {
  const char* value = std::getenv("HOME");
  if (value != nullptr && *value != '\0') return value;
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_dir : "/";
}

std::string xdg(const char* variable, const char* below_home) {
  const char* value = std::getenv(variable);
  if (value != nullptr && value[0] == '/') return value;
  return home() + below_home;
}

}  // namespace

std::string state_home() { return xdg("XDG_STATE_HOME", "/.local/state") + "/sluice"; }
std::string cache_home() { return xdg("XDG_CACHE_HOME", "/.cache"); }
std::string config_home() { return xdg("XDG_CONFIG_HOME", "/.config"); }

}  // namespace sluice
