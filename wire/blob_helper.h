// What a runner that has a store of its own and its helper, `sluice-remote --serve`, say to each
// other: frames (job_protocol.h) of one packed message each, on a stream socket that is the
// helper's standard input.
//
//   runner -> helper   HelperOpen, once; then HelperRequest as needed
//   helper -> runner   HelperReply to each request but `cancel` and `forget`, in the order in which
//                      they end; before that, as often as need be, one that says why it waits
//
// Blobs come from the storage service of this machine's configuration, where there is one, and from
// the session's store when they aren't to be had there. What goes to the session's store is offered
// to the service as well. Nothing that the service does is an error (spec/jobs.md, J97, J98).
//
// The helper moves for several requests at a time. A server that can't be reached is tried again,
// less and less often, for HelperOpen::patience. End of file ends the helper; what a request had
// not finished is as if it had never begun, but for blobs that have come.
//
// Errors of a reply: domain "remote", reasons as in remote_protocol.h, "cancelled", and
// "missing-input" (the session's store doesn't have what a job needs); those of the runner's own
// store keep their domain.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/job_messages.h"
#include "wire/messages.h"
#include "wire/remote_protocol.h"

namespace sluice::wire {

struct HelperOpen {
  std::string cachedir;  // the runner's store
  RemoteSpec cas;        // who has the session's blobs
  // The name that the server's certificate has; "": that of `cas.url`.
  std::string server_name;
  std::uint32_t patience_s = 600;
  std::optional<RemoteSpec> storage;  // cache.storage-service of this machine
};
template <typename C>
void fields(C& c, HelperOpen& m) {
  c("cachedir", m.cachedir);
  c("cas", m.cas);
  c.optional("server_name", m.server_name);
  c.optional("patience_s", m.patience_s);
  c.optional("storage", m.storage);
}

enum class HelperVerb : std::uint8_t {
  kFetch,     // `inputs`, into the runner's store; refs last
  kPrefetch,  // the same, while nothing is fetched
  kUpload,    // the artifact of `ref`, and the file `log`
  kCancel,    // the request `id`, whatever its verb
  kForget,    // what was known to be there: something isn't
};
inline constexpr std::array<std::string_view, 5> kHelperVerbs = {"need", "need-soon", "give",
                                                                 "cancel", "forget"};
constexpr std::span<const std::string_view> texts_of(const HelperVerb*) { return kHelperVerbs; }
constexpr std::optional<HelperVerb> otherwise(const HelperVerb*) { return std::nullopt; }

struct HelperRequest {
  std::uint64_t id = 0;
  HelperVerb verb = HelperVerb::kFetch;
  std::vector<JobInput> inputs;
  std::string ref;  // "PROJECT/ELEMENT/KEY"; "": there is no artifact
  std::string log;  // absolute; "": there is none
};
template <typename C>
void fields(C& c, HelperRequest& m) {
  c("id", m.id);
  c("verb", m.verb);
  c.optional("inputs", m.inputs);
  c.optional("ref", m.ref);
  c.optional("log", m.log);
}

struct HelperReply {
  std::uint64_t id = 0;
  std::optional<ErrorBody> error;
  // Of blobs that travelled for it, from the session's store or to it.
  std::uint64_t bytes = 0, blobs = 0;
  std::uint64_t storage_bytes = 0;  // from the storage service, or to it
  // fetch, upload: what is wrong with the storage service, each cause once for a helper.
  std::vector<std::string> warnings;
  // Not empty: this isn't the end; the server can't be reached, for this reason, and is tried
  // again.
  std::string waits;
  // upload: the Artifact message and the log, as blobs.
  model::Digest artifact, log;
};
template <typename C>
void fields(C& c, HelperReply& m) {
  c("id", m.id);
  c.optional("error", m.error);
  c.optional("bytes", m.bytes);
  c.optional("blobs", m.blobs);
  c.optional("storage_bytes", m.storage_bytes);
  c.optional("warnings", m.warnings);
  c.optional("waits", m.waits);
  c.optional("artifact", m.artifact);
  c.optional("log", m.log);
}

}  // namespace sluice::wire
