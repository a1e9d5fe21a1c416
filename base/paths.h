// Paths as text: by Python's rules (os.path), which reach into names and keys, and as URLs.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// os.path.normpath: no "." and no empty parts, ".." resolved as text; "." for nothing.
std::string normalize(std::string_view path);
// os.path.dirname
std::string parent(std::string_view path);
// os.path.join of two.
std::string join(std::string_view first, std::string_view second);

// The URL of a host's file, given by its absolute path: file://HOST/PATH (RFC 8089).
std::string file_url(std::string_view host, std::string_view path);

}  // namespace sluice
