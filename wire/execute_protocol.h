// What sluice-execute is asked and what it answers: it runs one command on another machine, by the
// Remote Execution API. No gRPC here.
//
//   sluice-execute
//
// Standard input: one frame (wire/job_protocol.h) with an ExecuteRequest. What it comes by stays
// open as long as the result is wanted: when it ends the operation is cancelled on the server.
// Standard output: frames of
// ExecuteEvents, notes as things happen and at last the reply, or the error. Errors: domain
// "remote" as in wire/remote_protocol.h; "sandbox"/"execution-failed" when the server couldn't run
// the command; "job"/"killed"; the store's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"
#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/model_fields.h"
#include "wire/remote_protocol.h"

namespace sluice::wire {

struct ExecuteRequest {
  std::string cachedir;
  // Where the command runs, where its blobs go and come from, where results are looked up first.
  model::Remote execution, storage;
  std::optional<model::Remote> action_cache;
  std::vector<std::string> argv;
  std::string directory;  // absolute
  model::StringMap environment;
  // Absolute and plain: the directories whose content is wanted afterwards.
  std::vector<std::string> outputs;
  std::vector<std::string> output_properties;  // "mtime"
  model::StringMap platform;                   // in the order of names
  model::Digest root;
  std::vector<model::Digest> more_roots;  // trees that the command may ask for by digest
  bool anew = false;                      // a result that somebody has already counts for nothing
};
template <typename C>
void fields(C& c, ExecuteRequest& m) {
  c("cachedir", m.cachedir);
  c("execution", m.execution);
  c("storage", m.storage);
  c.optional("action_cache", m.action_cache);
  c("argv", m.argv);
  c("directory", m.directory);
  c("environment", m.environment);
  c("outputs", m.outputs);
  c.optional("output_properties", m.output_properties);
  c("platform", m.platform);
  c("root", m.root);
  c.optional("more_roots", m.more_roots);
  c.optional("anew", m.anew);
}

// One of the outputs, whose whole tree is in the store now.
struct ExecuteOutput {
  std::string path;  // as in `outputs`
  model::Digest root;
};
template <typename C>
void fields(C& c, ExecuteOutput& m) {
  c("path", m.path);
  c("root", m.root);
}

struct ExecuteReply {
  std::int32_t exit_code = 0;
  std::vector<ExecuteOutput> outputs;  // those that there were
  // Blobs in the store; empty digests when nothing was written.
  model::Digest standard_output, standard_error;
  model::Digest action;
  bool known = false;       // by the action cache: nothing was run
  std::uint64_t bytes = 0;  // moved, of blobs
  std::uint64_t blobs = 0;
};
template <typename C>
void fields(C& c, ExecuteReply& m) {
  c("exit_code", m.exit_code);
  c("outputs", m.outputs);
  c.optional("standard_output", m.standard_output);
  c.optional("standard_error", m.standard_error);
  c("action", m.action);
  c.optional("known", m.known);
  c.optional("bytes", m.bytes);
  c.optional("blobs", m.blobs);
}

// One of them. `step` is the beginning of one, `info` something to tell.
struct ExecuteEvent {
  std::string step;
  std::string info;
  std::optional<ExecuteReply> reply;
  std::optional<ErrorBody> error;
};
template <typename C>
void fields(C& c, ExecuteEvent& m) {
  c.optional("step", m.step);
  c.optional("info", m.info);
  c.optional("reply", m.reply);
  c.optional("error", m.error);
}

}  // namespace sluice::wire
