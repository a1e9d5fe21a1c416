// POST to an HTTP server, again and again on one connection. Blocks. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::collect {

class HttpPost {
 public:
  struct Settings {
    std::string url;
    std::string content_type = "application/json";
    std::vector<std::string> headers;  // "Name: value"
    Duration timeout = std::chrono::seconds(30);
  };
  // Error "collect"/"bad-url": no http or https URL.
  static Result<std::unique_ptr<HttpPost>> create(Settings settings);
  ~HttpPost();

  // Gives the answer's body (its first MiB). Errors, of the domain "collect": "unavailable" when
  // another try may help (no connection, no answer in time, 408, 425, 429, 5xx), "bad-records" when
  // it is the body that isn't taken (400, 413, 422), else "refused".
  Result<std::string> post(std::string_view body);

 private:
  struct Curl;
  explicit HttpPost(Settings settings);
  const Settings settings_;
  std::unique_ptr<Curl> curl_;
};

// Headers from a file: one on each line, empty lines and those that begin with # left out. What
// lets somebody in is no argument, which everybody on the machine sees.
Result<std::vector<std::string>> read_headers(const std::string& file);

}  // namespace sluice::collect
