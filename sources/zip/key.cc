// A zip archive, unpacked (buildstream-plugins-community, zip).
#include "sources/keys.h"

namespace sluice::sources::zip {

Status key(Instance& instance, std::string& json) { return configure_archive(instance, json); }

}  // namespace sluice::sources::zip
