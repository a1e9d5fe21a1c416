// The part of a runner that has a store of its own: what a job needs is fetched before its process
// starts, and what it made is uploaded before its result is said (spec/jobs.md, J80 to J89).
#include <algorithm>
#include <set>

#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/tail.h"
#include "jobs/inputs.h"
#include "jobs/runner.h"
#include "model/names.h"
#include "wire/snapshot.h"

namespace sluice::jobs {

namespace {

// As many processes as BuildStream lets a build have where nobody says otherwise.
constexpr std::uint32_t kMostDefaultJobs = 8;

template <typename Counts>
void count_fetched(Counts& counts, const wire::HelperReply& reply) {
  counts.fetched += reply.bytes;
  counts.storage_fetched += reply.storage_bytes;
}

}  // namespace

std::vector<wire::JobInput> inputs_of(const wire::Job& job) {
  std::vector<wire::JobInput> inputs;
  std::set<std::pair<std::string_view, std::string>> seen;
  const auto add = [&](std::string_view kind, const model::Digest& digest) {
    if (!digest.empty() && seen.emplace(kind, digest.hash).second)
      inputs.push_back({std::string(kind), {}, digest});
  };
  for (const model::ArtifactRef& dependency : job.dependencies) {
    add("tree", dependency.files);
    add("blob", dependency.public_data);
    add("blob", dependency.low_diversity_meta);
  }
  add("tree", job.sources);
  inputs.insert(inputs.end(), job.inputs.begin(), job.inputs.end());
  return inputs;
}

std::string why_not_here(const wire::Job& job) {
  if (job.action != model::Action::kBuild)
    return fmt::format("'{}' is nothing for a runner that has a store of its own",
                       text_of(job.action));
  const std::string& log = job.log_file;
  if (!log.empty() && (log.front() == '/' || log != normalize(log) || log == "." || log == ".." ||
                       log.starts_with("../") || log.find('\0') != std::string::npos))
    return fmt::format("'{}' is no log file below a directory of logs", log);
  const auto element = wire::decode<wire::JobElement>(job.element.bytes);
  if (!element) return element.error().message;
  const auto body = wire::unpack_body(element->body.bytes);
  if (!body) return body.error().message;
  if (!body->plugin.file.empty())
    return fmt::format("The plugin {} is on the session's machine", body->plugin.file);
  const auto plugin_of = [](const std::vector<model::Source>& sources) {
    for (const model::Source& source : sources) {
      if (!source.plugin.file.empty()) return source.plugin.file;
    }
    return std::string();
  };
  std::string plugin = plugin_of(body->sources);
  for (const wire::Blob& packed : job.dependency_sources) {
    const auto sources = wire::unpack_sources(packed.bytes);
    if (!sources) return sources.error().message;
    if (plugin.empty()) plugin = plugin_of(sources->sources);
  }
  if (plugin.empty()) return {};
  return fmt::format("The sources' plugin {} is on the session's machine", plugin);
}

void Runner::take_place(model::Settings& settings) const {
  const RemotePlace& place = *options_.place;
  settings.cachedir = place.cachedir;
  settings.sourcedir = place.sourcedir;
  settings.builddir = place.builddir;
  settings.logdir = place.logdir;
  settings.workspacedir.clear();
  settings.config_file.clear();
  // Programs and services are none of the session's business here (J100).
  settings.plugins = {};
  settings.plugins.enabled = false;
  settings.remote_execution = {};
  settings.storage_service.reset();
  // What the machine can do is this one's, not the session's host's (J84).
  settings.max_jobs =
      place.max_jobs != 0 ? place.max_jobs : std::clamp(options_.processors, 1u, kMostDefaultJobs);
  settings.builders = options_.slots;
}

// Has the inputs of the next job come while others run.
void Runner::prefetch_next() {
  for (Waiting& waiting : waiting_) {
    if (!waiting.travels) continue;
    if (!std::exchange(waiting.prefetched, true))
      outputs_.prefetch(waiting.job.id, inputs_of(waiting.job));
    return;
  }
}

void Runner::on_transfer(const wire::JobId& id, wire::HelperVerb verb,
                         const wire::HelperReply& reply) {
  switch (verb) {
    case wire::HelperVerb::kPrefetch: {
      // One that failed is tried again when the job starts, and told of then.
      if (const auto found = running_.find(id); found != running_.end())
        count_fetched(found->second, reply);
      for (Waiting& waiting : waiting_) {
        if (waiting.job.id == id) count_fetched(waiting, reply);
      }
      return;
    }
    case wire::HelperVerb::kFetch: return on_fetched(id, reply);
    case wire::HelperVerb::kUpload: return on_uploaded(id, reply);
    case wire::HelperVerb::kCancel:
    case wire::HelperVerb::kForget: return;
  }
}

void Runner::on_transfer_waits(const wire::JobId& id, const std::string& why) {
  const auto found = running_.find(id);
  if (found == running_.end() || std::exchange(found->second.said_waiting, true)) return;
  warn(found->second, "The session's store can't be reached, trying again", why);
}

void Runner::warn(Running& job, std::string text, std::string detail) {
  JobEvent event;
  event.kind = "message";
  event.time = clock_.wall_ns();
  event.level = "warn";
  event.text = std::move(text);
  event.detail = std::move(detail);
  say(job, event);
}

// Says in the job's own log what the storage service did for it, and what is wrong with that.
void Runner::remark_storage(Running& job, const wire::HelperReply& reply) {
  if (!options_.place->storage) return;
  for (const std::string& warning : reply.warnings)
    job.start->remarks.push_back({"warn", without_credentials(warning)});
  if (job.fetched == 0 && job.storage_fetched == 0) return;
  job.start->remarks.push_back(
      {"info",
       fmt::format("Fetched {} bytes <- {}, {} bytes <- the session's store", job.storage_fetched,
                   without_credentials(options_.place->storage->url), job.fetched)});
}

// Around a job's process nothing fails for what the element is: what goes wrong with this machine's
// store, or its disk, is of the way there and back (J87).
void blame_machine(wire::ErrorBody& error) { error.domain = "remote"; }

void Runner::on_fetched(const wire::JobId& id, const wire::HelperReply& reply) {
  const auto found = running_.find(id);
  if (found == running_.end() || found->second.phase != Running::Phase::kFetches) return;
  count_fetched(found->second, reply);
  if (reply.error) {
    for (const std::string& warning : reply.warnings) warn(found->second, warning);
    wire::ErrorBody error = *reply.error;
    blame_machine(error);
    end_without_process(id, model::Outcome::kError, error);
    return pump();
  }
  remark_storage(found->second, reply);
  found->second.phase = Running::Phase::kFetched;
  if (!suspended_) begin(id);
}

void Runner::begin_fetched() {
  std::vector<wire::JobId> ready;
  for (const auto& [id, job] : running_) {
    if (job.phase == Running::Phase::kFetched) ready.push_back(id);
  }
  for (const wire::JobId& id : ready) begin(id);
}

void Runner::begin(const wire::JobId& id) {
  Running& job = running_.at(id);
  const JobStart start = std::move(*job.start);
  job.start.reset();
  job.phase = Running::Phase::kRuns;
  if (auto begun = outputs_.start(start); !begun) {
    auto error = wire::ErrorBody::from(begun.error());
    blame_machine(error);
    end_without_process(id, model::Outcome::kError, error);
    pump();
  }
}

void Runner::upload(const wire::JobId& id, Running& job) {
  wire::JobResult& result = *job.result;
  job.phase = Running::Phase::kUploads;
  result.log_file = job.section.log_file;
  result.log_tail = tail_of(job.log_path, job.tail_lines);
  result.fetched = job.fetched;
  result.storage_fetched = job.storage_fetched;
  // What was fetched, or was there, is gone: this machine's fault, not the element's (J87).
  if (result.error && result.error->domain == "cas" && result.error->reason == "missing-blob") {
    outputs_.forget_blobs();
    result.error->domain = "remote";
    result.error->reason = "inputs-lost";
  }
  std::string ref;
  if (result.artifact) {
    const model::ArtifactRef& artifact = *result.artifact;
    ref = model::artifact_ref(artifact.project, artifact.element, artifact.key);
  }
  outputs_.upload(id, std::move(ref), job.log_path);
}

void Runner::on_uploaded(const wire::JobId& id, const wire::HelperReply& reply) {
  const auto found = running_.find(id);
  if (found == running_.end() || found->second.phase != Running::Phase::kUploads) return;
  for (const std::string& warning : reply.warnings) warn(found->second, warning);
  Running job = std::move(found->second);
  running_.erase(found);
  wire::JobResult result = std::move(*job.result);
  result.uploaded = reply.bytes;
  result.storage_uploaded = reply.storage_bytes;
  if (reply.error) {
    result.status = model::Outcome::kError;
    result.error = *reply.error;
    blame_machine(*result.error);
    result.artifact.reset();
  } else {
    result.artifact_message = reply.artifact;
    result.log = reply.log;
    // The session's host has it now.
    if (!job.log_path.empty()) ::unlink(job.log_path.c_str());
  }
  finish(id, std::move(result), job.last_record);
  pump();
}

void Runner::end_without_process(const wire::JobId& id, model::Outcome status,
                                 const wire::ErrorBody& error) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running job = std::move(found->second);
  running_.erase(found);
  wire::JobResult result;
  result.id = id;
  result.status = status;
  result.error = error;
  result.elapsed = (now() - job.started - job.paused).count();
  result.log_file = job.section.log_file;
  result.fetched = job.fetched;
  result.storage_fetched = job.storage_fetched;
  finish(id, std::move(result), job.last_record);
}

}  // namespace sluice::jobs
