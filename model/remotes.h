// Caches on other machines as a set: what can be done with them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::model {

// The type of cache.storage-service among the remotes of a run: it knows no names, but has the
// blobs of the artifacts whose names are here.
inline constexpr std::string_view kBacking = "backing";
// Whether the remote is that.
inline bool is_backing(const Remote& remote) { return remote.type == kBacking; }

// Whether something can be pulled, or pushed, with these caches: names and blobs have a place.
bool can_pull(const std::vector<Remote>& remotes);
bool can_push(const std::vector<Remote>& remotes);

// Where a cache is, as gRPC wants it said.
struct RemoteAddress {
  std::string target;  // "cache.example.com:443", "unix:/run/cache"
  bool secure = false;
};

// The address of a URL: http://, https://, grpc://, grpcs:// or unix:. A path, query or fragment
// has no meaning and is left out, as BuildStream's client does. Error "remote"/"bad-remote" for
// what is no address; its message has no secret of the URL.
Result<RemoteAddress> remote_address(std::string_view url);

}  // namespace sluice::model
