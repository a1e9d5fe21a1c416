// The error and result types that every folder uses.
//
// A function that can fail for a reason outside of our control (a file, a peer's
// bytes, a user's project) returns Result<T>. Exceptions of libraries stop at the
// wrapper that calls them. Asserts are for our own bugs only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace sluice {

// Where in a user's file something was found. Lines count from 1 and columns from 0,
// as BuildStream prints them; line 0 means unknown (the file as a whole).
struct Provenance {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool known() const { return !file.empty(); }
  // "file [line 3 column 2]", the form that BuildStream prints.
  std::string str() const;
};

// What went wrong. `domain` and `reason` are stable and machine-readable; they
// use the vocabulary that BuildStream publishes (domain "load", reason
// "missing-file"). `message` is one line for a person, `detail` the rest.
struct Error {
  std::string domain;
  std::string reason;
  std::string message;
  std::string detail;
  Provenance provenance;
  // Whose place that is, where BuildStream says so: "tar source".
  std::string subject;
  // What could not be done because of it, where BuildStream introduces it so: "Error loading
  // project".
  std::string introduction;

  // "file [line 3 column 2]", "tar source at file [line 3 column 2]"; "" when there is no place.
  std::string place() const;
  // The place and the message, then the detail on lines of its own. Without the introduction.
  std::string str() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// return fail("load", "missing-file", "...");
inline tl::unexpected<Error> fail(std::string domain, std::string reason, std::string message,
                                  Provenance provenance = {}, std::string detail = {}) {
  return tl::unexpected<Error>(Error{std::move(domain), std::move(reason), std::move(message),
                                     std::move(detail), std::move(provenance)});
}

// An error of the operating system, with the text of `errno_value`.
// domain "util", reason the errno's name in lower case ("enoent").
tl::unexpected<Error> fail_errno(int errno_value, std::string_view what);

// For passing an error on: `if (!r) return forward(r);`
template <typename T>
tl::unexpected<Error> forward(Result<T>& result) {
  return tl::unexpected<Error>(std::move(result.error()));
}

}  // namespace sluice
