// The sessions of this machine, for the page's list.
#pragma once

#include <string>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::renderer {

// A JSON list, the newest first: {id, project (directory), verb, started (ns), state, alive}.
std::string sessions_json();

// The paths of a session that there is, or was. Error "app"/"no-session".
Result<wire::SessionPaths> known_session(const std::string& id);

}  // namespace sluice::renderer
