// The events of a whole session for the page, as its log's file has them now: what the page makes
// of them is the same as if each had come by itself (digest.h), and they are as few as can be.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::renderer {

// Bytes of the last lines of logs that a digest has at most: a browser is to open a page of a
// session in which each of 30,000 elements failed.
inline constexpr std::size_t kMostTails = std::size_t{32} << 20;

// A JSON list. `also` gets every record, when it isn't empty. Errors: those of
// wire::read_records().
Result<std::string> session_digest(const wire::SessionPaths& paths,
                                   const std::function<void(std::string_view packed)>& also = {},
                                   std::size_t most_tails = kMostTails);

}  // namespace sluice::renderer
