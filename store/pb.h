// Digests between plain data and generated messages. Internal to store/, and not for public
// headers.
#pragma once

#include "store/cas.h"

namespace sluice::store {

namespace pb {
class Digest;
}

void to_pb(const Digest& digest, pb::Digest* message);
Digest from_pb(const pb::Digest& message);

}  // namespace sluice::store
