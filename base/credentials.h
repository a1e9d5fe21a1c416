// Secrets in URLs: user and password before the host, tokens in the query. What is shown, logged or
// kept for people to read has none of them.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// `text` with "***" in the place of what stands before the '@' of each URL in it, and of the values
// of query parameters that are secrets by their names ("token", "password", "signature" and the
// like). Text without "://" is what it was.
std::string without_credentials(std::string_view text);

// Parts of a URL with the characters that "%41" and the like stand for; a '%' that begins nothing
// of that kind stays.
std::string percent_decoded(std::string_view text);

}  // namespace sluice
