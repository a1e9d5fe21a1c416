// What sluice-remote is asked and what it answers: one packed message each, in a file and on
// standard output. No gRPC here.
//
//   sluice-remote REQUEST_FILE
//
// Status 0: a RemoteReply. Status 1: an ErrorBody of domain "remote", reasons:
//
//   unreachable       a server that answered before, or all there are, can't be reached (any more)
//   denied            a server wants other credentials, or doesn't allow what was asked
//   remote-failed     a server says that it failed
//   misbehaved        a server sent what can't be: a blob that isn't the one asked for, a message
//                     that isn't one
//   not-cached        what is to be pushed isn't in the store; "incomplete-artifact": only its
//                     buildtree or buildroot isn't
//   bad-remote        what a RemoteSpec says can't be used (its url, a certificate's file)
//   bad-request       the request itself; also for a file that can't be read
//
// "unreachable" and "remote-failed" may be otherwise at another try. Errors of this machine's store
// keep the domain they have there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/model.h"
#include "wire/codec.h"
#include "wire/model_fields.h"

namespace sluice::wire {

// One server. `url`: http://HOST:PORT, https://HOST:PORT; grpc:// and grpcs:// are the same;
// unix:PATH. `type`: index knows names, storage has blobs, all both; kBacking
// (model/remotes.h) has the blobs of artifacts whose names are here. Certificates are files of PEM;
// without server_cert those are trusted that the system trusts. Left out: no interval, no
// keepalive, 4 retries, the first after 1000 ms and each after twice the time before; a call, or a
// part of a stream, has 60 s, and is tried again once when these are over.
using RemoteSpec = model::Remote;

struct SourceName {
  std::string kind;
  std::string key;
};
template <typename C>
void fields(C& c, SourceName& m) {
  c("kind", m.kind);
  c("key", m.key);
}

struct RemoteRequest {
  // pull-artifact   the first of `keys` that a remote has
  // push-artifact   the first of `keys` that is cached, to every remote with `push`
  // pull-sources    elementsources `keys[0]`; when no remote has them all together, those of
  //                 `sources` that aren't here
  // push-sources    each of `sources` that is here, and elementsources `keys[0]`
  // keep-artifact   has the blobs of the first of `keys` that is cached be with each remote
  // keep-sources    the same of elementsources `keys[0]`
  // find-artifacts  which of `names` a remote knows
  // check           reaches each of the remotes, at once; what is wrong comes as warnings
  std::string verb;
  std::string cachedir;
  std::vector<RemoteSpec> remotes;  // in the order they are asked
  std::string project;
  std::string element;            // the name in its project, "base/zlib.bst"
  std::vector<std::string> keys;  // in order of preference
  std::vector<SourceName> sources;
  // of artifacts, "PROJECT/ELEMENT/KEY" as in store::artifact_ref()
  std::vector<std::string> names;
  bool buildtree = false;  // pull: also the buildtree, sources, buildroot
};
template <typename C>
void fields(C& c, RemoteRequest& m) {
  c("verb", m.verb);
  c("cachedir", m.cachedir);
  c("remotes", m.remotes);
  c.optional("project", m.project);
  c.optional("element", m.element);
  c.optional("keys", m.keys);
  c.optional("sources", m.sources);
  c.optional("names", m.names);
  c.optional("buildtree", m.buildtree);
}

// Something to tell the user, in BuildStream's words.
struct RemoteNote {
  std::string level;  // "status", "info", "warn"
  std::string text;
};
template <typename C>
void fields(C& c, RemoteNote& m) {
  c("level", m.level);
  c("text", m.text);
}

struct RemoteReply {
  // pull: it is in the store now. push: a remote was updated. check: a remote can be used. find:
  // there is one of them.
  bool done = false;
  std::string key;          // of `keys`, pulled or pushed
  std::string url;          // the remote the data came from, or the last that was updated
  std::uint64_t bytes = 0;  // moved, of blobs
  std::uint64_t blobs = 0;
  std::vector<SourceName> sources;   // pulled or pushed one by one
  std::vector<std::string> names;    // those that were found, in their order
  std::vector<std::string> skipped;  // what was left undone although asked for, and why
  std::vector<std::string> reached;  // urls of the remotes that answered
  std::vector<RemoteNote> notes;     // in the order in which things happened
};
template <typename C>
void fields(C& c, RemoteReply& m) {
  c("done", m.done);
  c.optional("key", m.key);
  c.optional("url", m.url);
  c.optional("bytes", m.bytes);
  c.optional("blobs", m.blobs);
  c.optional("sources", m.sources);
  c.optional("names", m.names);
  c.optional("skipped", m.skipped);
  c.optional("reached", m.reached);
  c.optional("notes", m.notes);
}

}  // namespace sluice::wire
