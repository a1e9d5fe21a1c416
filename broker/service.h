// Joins the broker's cores with its sockets, timers and the supervisor's line.
#pragma once

#include <memory>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::broker {

// Runs a broker until its session has ended or its supervisor is gone. Returns an error when it
// can't start (no listening descriptor, a damaged log).
Status serve(wire::ServiceOptions options);

}  // namespace sluice::broker
