// Registry is a container registry over HTTP, its API of version 2: manifests and blobs of one
// image. Who wants to know who asks is told by a token, which the server names another server for;
// a user and password for that one are looked up in ~/.netrc. A token goes to the registry alone,
// and is kept for no longer than this.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sources/docker/place.h"
#include "sources/work.h"

namespace sluice::sources::docker {

class Registry {
 public:
  // Refers to what it is given.
  Registry(const model::Source& source, Surroundings& surroundings, const std::string& url)
      : source_(source), surroundings_(surroundings), place_(place_of(source, url)) {}

  struct Wanted {
    std::string path;    // below the image, "manifests/latest"
    std::string accept;  // media types; "" for any
    std::string file;    // where it goes
    // The file may begin with what an earlier download left.
    bool resume = false;
    std::uint64_t max_bytes = 0;  // 0: any
  };
  // Gives the headers of the answer, a line for each, names in lower case. Errors: domain "source",
  // reason "download-failed" where another try may help; "job"/"killed".
  Result<std::string> get(const Wanted& wanted);

  // For people: without credentials.
  std::string shown() const;

 private:
  Result<std::string> ask(const Wanted& wanted, const std::string& url, const std::string& token);
  // Gets a token for what the registry challenges with, a line for each challenge.
  Status authorize(const std::string& challenges);

  const model::Source& source_;
  Surroundings& surroundings_;
  Place place_;
  std::string token_;
};

// A challenge of WWW-Authenticate for a bearer token (RFC 6750), by the names of its parameters;
// nothing where `header` is none.
std::map<std::string, std::string> bearer_challenge(std::string_view header);

}  // namespace sluice::sources::docker
