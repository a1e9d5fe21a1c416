// A tar archive, unpacked (buildstream/plugins/sources/tar.py).
#include "sources/keys.h"

namespace sluice::sources::tar {

Status key(Instance& instance, std::string& json) { return configure_archive(instance, json); }

}  // namespace sluice::sources::tar
