// The events of a whole session for the page, as its log's file has them now: what the page makes
// of them is the same as if each had come by itself (digest.h), and they are as few as can be.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::renderer {

// A JSON list. `also` gets every record, when it isn't empty. Errors: those of
// wire::read_records().
Result<std::string> session_digest(const wire::SessionPaths& paths,
                                   const std::function<void(std::string_view packed)>& also = {});

}  // namespace sluice::renderer
