// Who may ask sluice-web for anything. It listens on loopback, where every user of the machine can
// connect, and browsers can be made to by any page that its user looks at. So:
//
//   a secret      The address that is printed has a token, for which the page's first answer sets a
//                 cookie (HttpOnly, SameSite=Strict); nothing is said without one of them.
//   the host      A name that resolves to 127.0.0.1 is a stranger's page (DNS rebinding): the Host
//                 must be loopback by its address, or "localhost". The port may be another one, as
//                 ssh -L has it.
//   the origin    What changes anything comes from a page of this very origin. What only asks
//                 doesn't come from another page either: those of other ports of this machine are
//                 of the same site, and have the cookie sent.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::renderer {

// 64 hexadecimal digits of the system's randomness.
Result<std::string> new_secret();
// Takes as long for all texts of one length, whatever they have in common.
bool same_secret(std::string_view given, std::string_view secret);

// A Host header: 127.0.0.1, localhost or [::1], perhaps with a port.
bool is_loopback_host(std::string_view host);
// Whether an Origin header is that of a page at `host`.
bool is_own_origin(std::string_view origin, std::string_view host);

// Whether a Sec-Fetch-Site header is that of what this very page, or the user himself, asks for;
// programs that are no browsers send none.
bool is_own_fetch(std::string_view site);

// A cookie's value in a Cookie header; "" when it isn't there.
std::string_view cookie_value(std::string_view header, std::string_view name);

}  // namespace sluice::renderer
