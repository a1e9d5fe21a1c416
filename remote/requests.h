// What sluice-remote is asked for, done: BuildStream's order of remotes and keys, its names for
// what is on a server, its messages (buildstream/_artifactcache.py, _elementsourcescache.py,
// _sourcecache.py).
//
// A remote that can't be reached at all, or that doesn't let us in, is left out with a warning; one
// that fails later is an error, since that may be otherwise another time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "remote/peer.h"
#include "wire/remote_protocol.h"

namespace sluice::remote {

using Connect = std::function<Result<std::unique_ptr<Peer>>(const RemoteSpec&)>;

Result<RemoteReply> serve(const RemoteRequest& request, const Connect& connect);

// The names: "urn:fdc:buildstream.build:2020:artifact:PROJECT/ELEMENT/KEY", "...:source:KEY" for
// all sources of an element, "...:source:KIND/KEY" for one.
inline constexpr std::string_view kArtifactUrn = "urn:fdc:buildstream.build:2020:artifact:";
inline constexpr std::string_view kSourceUrn = "urn:fdc:buildstream.build:2020:source:";

}  // namespace sluice::remote
