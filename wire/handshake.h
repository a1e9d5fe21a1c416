// How a connection with keys goes, for whoever wants to tell a person why it doesn't: ZeroMQ itself
// goes on trying, and says nothing.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "wire/address.h"
#include "wire/socket.h"

namespace sluice::wire {

// Connects, and waits until both ends have taken each other's keys. Errors, domain "wire":
// "not-let-in": our key isn't taken; "wrong-key": whoever listens there doesn't have the server
// key; "unreachable": nobody has answered for `timeout`.
Status try_handshake(Context& context, const Address& address, Duration timeout);

}  // namespace sluice::wire
