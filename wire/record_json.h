// Records as JSON, one on a line (JSON Lines), for programs.
//
// A line holds every key of the record's map, those that this program knows nothing of too, in the
// record's order. Binary values are base64; text that is no UTF-8 has U+FFFD for what is wrong; a
// key that is no string is written as its JSON; what JSON lacks (NaN, infinities, extension types)
// is null.
//
// A record of type "error" has the fields of its error section beside the others:
//   scope ("main", "task"), domain, reason, message,
//   provenance {file, line, column}, absent when there is none.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/codec.h"

namespace sluice::wire {

// The line with its newline. Error: `packed` is no map (domain "wire").
Result<std::string> json_line(std::string_view packed);
std::string json_line(const Value& record);

// The line for an error without a session: {"v", "type": "error", "time", "scope", "domain",
// "reason", "message", "detail", "provenance"}. `wall_ns`: when.
std::string json_error_line(const Error& error, std::string_view scope, std::int64_t wall_ns);

// A JSON string with its quotes.
std::string json_string(std::string_view text);

}  // namespace sluice::wire
