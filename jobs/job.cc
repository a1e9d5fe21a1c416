#include "jobs/job.h"

#include <cerrno>
#include <optional>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "elements/build.h"
#include "elements/kinds.h"
#include "elements/reporter.h"
#include "jobs/fetch.h"
#include "jobs/names.h"
#include "jobs/pull.h"
#include "jobs/push.h"
#include "jobs/source_surroundings.h"
#include "jobs/storage.h"
#include "jobs/track.h"
#include "sandbox/scratch.h"
#include "sources/plugin/plugin.h"
#include "store/check.h"
#include "store/measure.h"
#include "store/sources.h"
#include "wire/snapshot.h"

namespace sluice::jobs {

using model::Outcome;

namespace {

Result<JobData> unpack(const JobStart& start) {
  JobData data;
  data.job = start.job;
  data.scratch = start.scratch;
  data.element = TRY(wire::decode<wire::JobElement>(start.job.element.bytes));
  data.body = TRY(wire::unpack_body(data.element.body.bytes));
  data.settings = TRY(wire::unpack_settings(start.job.settings.bytes));
  if (data.settings.cachedir.empty() || data.settings.cachedir.front() != '/') {
    return fail("job", "bad-job", "The job's settings name no cache directory");
  }
  return data;
}

std::string element_key(const JobData& data) {
  const auto& keys = data.job.keys;
  const std::string& key = !keys.full.empty()     ? keys.full
                           : !keys.strict.empty() ? keys.strict
                                                  : keys.weak;
  // BuildStream shows question marks for a key that isn't known.
  return brief_key(key.empty() ? std::string(64, '?') : key);
}

struct Ending {
  Outcome status = Outcome::kSuccess;
  std::optional<Error> error;
  std::optional<model::ArtifactRef> artifact;
  model::Digest sources;
  std::vector<wire::NewRef> refs;
};

Ending failed(Outcome status, Error error) {
  Ending ending;
  ending.status = error.domain == "job" && error.reason == "killed" ? Outcome::kKilled : status;
  ending.error = std::move(error);
  return ending;
}

// Keeps a ref for elements without sources, as BuildStream leaves one behind: having none counts as
// fetched.
Status keep_no_sources(store::Cas& cas) {
  store::SourceRefs refs(cas);
  auto known = TRY(refs.lookup_element(store::kNoSources));
  if (known) return {};
  auto empty = TRY(cas.add(""));
  return refs.store_element(store::kNoSources, empty);
}

Ending do_build(const JobData& data, StoreInUse& store, Reporter& reporter, Cancel& cancel,
                bool trust = true) {
  const Kind* kind = kind_of(data);
  if (kind == nullptr && data.element.kind == "junction") {
    return failed(Outcome::kError, Error{"pipeline", "", "Cannot build junction elements", {}, {}});
  }
  if (kind == nullptr) {
    return failed(Outcome::kError,
                  Error{"plugin",
                        "unknown-kind",
                        fmt::format("Elements of kind '{}' can't be built", data.element.kind),
                        {},
                        data.body.provenance});
  }
  if (data.body.nested_environment.is_map() && !data.body.nested_environment.map.empty()) {
    return failed(
        Outcome::kError,
        Error{
            "load",
            "invalid-data",
            fmt::format(
                "Environment variable '{}' of {} is a list or a map: nothing can be built with it",
                data.body.nested_environment.map.front().first, data.element.full_name),
            {},
            data.body.provenance});
  }
  if (data.job.keys.full.empty()) {
    return failed(
        Outcome::kError,
        Error{"job", "bad-job", "The job has no key to cache its artifact under", {}, {}});
  }
  if (data.body.sources.empty()) {
    if (auto kept = keep_no_sources(store.cas); !kept)
      return failed(Outcome::kError, std::move(kept.error()));
  }
  Build build(data, store.cas, store.realiser, reporter, cancel);
  build.root().join_sources_by([&] { return fetch_sources(data, store.cas, reporter, cancel); });
  std::optional<SourceSurroundings> surroundings;
  build.ask_sources_by([&](const model::Source& source) {
    if (!surroundings) surroundings.emplace(data, store.cas, reporter, cancel);
    return sources::plugin::info(source, *surroundings);
  });
  if (!trust) build.commands().distrust_remembered_roots();
  // Whether the store has lost a part of a root that was integrated before, which is made again
  // then.
  const auto lost = [&](const Error& error) {
    return trust && build.commands().used_remembered_root() && error.reason == "missing-blob";
  };
  if (auto staged = kind->stage(build); !staged) {
    if (lost(staged.error())) return do_build(data, store, reporter, cancel, false);
    return failed(Outcome::kError, std::move(staged.error()));
  }
  Ending ending;
  auto collect = kind->assemble(build);
  std::optional<std::string> directory;
  if (collect) {
    if (!collect->empty()) directory = *collect;
    auto found = build.root().tree().directory_digest(*collect);
    if (!found && found.error().domain != "virtual-fs") {
      if (lost(found.error())) return do_build(data, store, reporter, cancel, false);
      return failed(Outcome::kError, std::move(found.error()));
    }
    if (!found) {
      ending = failed(Outcome::kFailure,
                      Error{"element",
                            "collect-missing",
                            fmt::format("Directory '{}' was not found inside the sandbox, "
                                        "unable to collect artifact contents",
                                        *collect),
                            {},
                            {}});
    }
  } else {
    if (lost(collect.error())) return do_build(data, store, reporter, cancel, false);
    if (!is_element_failure(collect.error()))
      return failed(Outcome::kError, std::move(collect.error()));
    if (!build.artifact().collected_on_failure().empty())
      directory = build.artifact().collected_on_failure();
    ending = failed(Outcome::kFailure, std::move(collect.error()));
  }
  auto artifact = build.artifact().write(directory, ending.error ? &*ending.error : nullptr);
  if (!artifact) {
    if (lost(artifact.error())) return do_build(data, store, reporter, cancel, false);
    return failed(Outcome::kError, std::move(artifact.error()));
  }
  if (auto kept = keep_artifact(data, artifact->key, reporter, cancel); !kept)
    return failed(Outcome::kError, std::move(kept.error()));
  ending.artifact = std::move(*artifact);
  return ending;
}

bool is_missing_blob(const Error& error) {
  return error.domain == "cas" && error.reason == "missing-blob";
}

// A blob that turned out to be missing, or damaged and therefore missing now, is seldom alone: all
// that was to be staged is looked at, so that the scheduler sees at once what has to be pulled or
// built again.
Ending build_from_good_blobs(const JobData& data, StoreInUse& store, Reporter& reporter,
                             Cancel& cancel) {
  Ending ending = do_build(data, store, reporter, cancel);
  if (!ending.error || !is_missing_blob(*ending.error)) return ending;
  for (const model::ArtifactRef& dependency : data.job.dependencies) {
    if (!dependency.files.empty())
      static_cast<void>(store::drop_damaged(store.cas, dependency.files));
  }
  if (!data.job.sources.empty())
    static_cast<void>(store::drop_damaged(store.cas, data.job.sources));
  return ending;
}

Ending do_fetch(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  auto sources = fetch_sources(data, cas, reporter, cancel);
  // Sources that were there in part aren't there at all the second time, and are fetched.
  if (!sources && is_missing_blob(sources.error()))
    sources = fetch_sources(data, cas, reporter, cancel);
  if (!sources) return failed(Outcome::kError, std::move(sources.error()));
  if (auto kept = keep_sources(data, reporter, cancel); !kept)
    return failed(Outcome::kError, std::move(kept.error()));
  Ending ending;
  ending.sources = std::move(*sources);
  return ending;
}

Ending do_track(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  auto tracked = track_sources(data, cas, reporter, cancel);
  if (!tracked) return failed(Outcome::kError, std::move(tracked.error()));
  Ending ending;
  if (!tracked->any) {
    ending.status = Outcome::kSkipped;
    ending.error = Error{"source", "not-trackable", "Element sources are not trackable", {}, {}};
  }
  ending.refs = std::move(tracked->changed);
  return ending;
}

Ending do_pull(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  auto pulled = pull_artifact(data, cas, reporter, cancel);
  if (!pulled) return failed(Outcome::kError, std::move(pulled.error()));
  if (*pulled) {
    if (auto kept = keep_artifact(data, (*pulled)->key, reporter, cancel); !kept)
      return failed(Outcome::kError, std::move(kept.error()));
  }
  Ending ending;
  ending.artifact = std::move(*pulled);
  if (!ending.artifact) ending.status = Outcome::kSkipped;
  return ending;
}

// The ending of a push: `pushed` says whether a remote was updated.
Ending do_push(Result<bool> pushed) {
  if (!pushed) return failed(Outcome::kError, std::move(pushed.error()));
  Ending ending;
  if (!*pushed) ending.status = Outcome::kSkipped;
  return ending;
}

// Pushes sources. Local ones are put together first, which the store doesn't have as one tree yet.
Ending do_source_push(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  const store::SourceRefs refs(cas);
  auto known = refs.lookup_element(data.element.sources_key);
  if (!known) return failed(Outcome::kError, std::move(known.error()));
  if (!*known) {
    // The job's remotes are those to push to, not to pull from.
    JobData local = data;
    local.job.remotes.clear();
    if (auto fetched = fetch_sources(local, cas, reporter, cancel); !fetched)
      return failed(Outcome::kError, std::move(fetched.error()));
  }
  return do_push(push_sources(data, reporter, cancel));
}

Ending do_action(const JobData& data, StoreInUse& store, Reporter& reporter, Cancel& cancel) {
  switch (data.job.action) {
    case model::Action::kBuild: return build_from_good_blobs(data, store, reporter, cancel);
    case model::Action::kFetch: return do_fetch(data, store.cas, reporter, cancel);
    case model::Action::kTrack: return do_track(data, store.cas, reporter, cancel);
    case model::Action::kPull: return do_pull(data, store.cas, reporter, cancel);
    case model::Action::kPush: return do_push(push_artifact(data, reporter, cancel));
    case model::Action::kSourcePush: return do_source_push(data, store.cas, reporter, cancel);
    case model::Action::kEmpty:
    case model::Action::kSpawn: break;  // the runner does these itself
  }
  return failed(Outcome::kError,
                Error{"job",
                      "bad-job",
                      fmt::format("'{}' is no job of a process", text_of(data.job.action)),
                      {},
                      {}});
}

// Sends the result of a job that could not begin.
void refuse(const JobStart& start, int channel, const Error& error) {
  wire::JobResult result;
  result.id = start.job.id;
  result.status = Outcome::kError;
  result.error = wire::ErrorBody::from(error);
  Reporter(channel, nullptr, {}).result(std::move(result));
}

// Reads notes that have come, without waiting.
void read_notes(int channel, FrameReader& frames, Reporter& reporter) {
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(channel, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n <= 0) break;
    frames.append({buffer, static_cast<std::size_t>(n)});
  }
  for (;;) {
    auto body = frames.next();
    if (!body || !*body) return;
    if (auto note = wire::decode<JobNote>(**body)) reporter.note(*note);
  }
}

}  // namespace

Result<std::unique_ptr<StoreInUse>> open_store(const std::string& cachedir) {
  auto cas = TRY(store::Cas::open(cachedir));
  // The store is in its place before the realiser refers to it.
  auto placed = std::make_unique<store::Cas>(std::move(cas));
  auto realiser = TRY(store::Realiser::open(*placed));
  return std::make_unique<StoreInUse>(std::move(placed), std::move(realiser));
}

namespace {

std::int64_t nanoseconds(const timeval& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_usec} * 1000;
}

// What this process has used, with all that it has waited for: the sandbox's processes are waited
// for by its first one, and that by us.
void add_usage(wire::JobResult& result) {
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (::getrusage(who, &usage) != 0) continue;
    result.cpu += nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
    result.memory =
        std::max(result.memory, static_cast<std::uint64_t>(std::max(0L, usage.ru_maxrss)) * 1024);
  }
}

// The bytes of what the job has made, or brought. A tree that can't be measured has none: whoever
// stages it says why.
std::uint64_t bytes_of(const wire::JobResult& result, const store::Cas& cas) {
  const model::Digest& root = result.artifact ? result.artifact->files : result.sources;
  if (root.empty()) return 0;
  const auto size = store::measure_tree(cas, root);
  return size ? size->bytes : 0;
}

void run_job(const JobStart& start, int channel, Cancel& cancel, StoreInUse* store,
             const JobPlace& place) {
  auto data = unpack(start);
  if (!data) return refuse(start, channel, data.error());
  data->tokens = place.tokens;
  data->memory_group = place.memory_group;
  std::string log_path;
  std::optional<JobLog> log;
  if (!data->job.log_file.empty()) {
    log_path = data->settings.logdir + "/" + data->job.log_file;
    auto made = JobLog::create(log_path);
    if (!made) return refuse(start, channel, made.error());
    log = std::move(*made);
  }
  Reporter reporter(channel, log ? &*log : nullptr, {data->element.full_name, element_key(*data)});
  FrameReader notes;
  reporter.on_clock([&] { read_notes(channel, notes, reporter); });

  const std::string action(model::traits(data->job.action).title);
  reporter.log_only(Level::kStart, action, {}, {});
  for (const wire::JobRemark& remark : start.remarks)
    reporter.message(remark.level == "warn" ? Level::kWarn : Level::kInfo, remark.text);
  Ending ending;
  std::unique_ptr<StoreInUse> own;
  std::optional<Error> closed;
  if (store == nullptr || store->cas.cachedir() != data->settings.cachedir) {
    auto opened = open_store(data->settings.cachedir);
    if (opened) {
      own = std::move(*opened);
      store = own.get();
    } else {
      closed = std::move(opened.error());
    }
  }
  if (closed) {
    ending = failed(Outcome::kError, std::move(*closed));
  } else {
    ending = do_action(*data, *store, reporter, cancel);
  }

  const Duration elapsed = reporter.elapsed();
  if (ending.status == Outcome::kSuccess) {
    reporter.log_only(Level::kSuccess, action, {}, elapsed);
  } else if (ending.status == Outcome::kSkipped) {
    reporter.log_only(Level::kSkipped, ending.error ? ending.error->message : action, {}, elapsed);
  } else if (ending.status == Outcome::kKilled) {
    if (log) log->write("\n\nForcefully terminated\n");
  } else {
    reporter.log_only(Level::kFailure, ending.error->message, ending.error->detail, elapsed);
  }
  // The scratch goes with the attempt, before its result is known to anybody.
  [[maybe_unused]] auto emptied = Scratch(start.scratch).finish();

  wire::JobResult result;
  result.id = start.job.id;
  result.status = ending.status;
  if (ending.error) result.error = wire::ErrorBody::from(*ending.error);
  result.elapsed = elapsed.count();
  result.log_file = log_path;
  result.artifact = std::move(ending.artifact);
  result.sources = ending.sources;
  result.refs = std::move(ending.refs);
  if (store != nullptr) result.bytes = bytes_of(result, store->cas);
  add_usage(result);
  reporter.result(std::move(result));
}

// Reads exactly `size` bytes: what follows a JobStart are notes, for later.
bool read_exactly(int fd, char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::read(fd, to, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

int serve_job(int channel, StoreInUse* store, const JobPlace& place) {
  Cancel cancel;
  unsigned char head[4];
  if (!read_exactly(channel, reinterpret_cast<char*>(head), sizeof head)) return 1;
  const std::size_t size =
      head[0] | head[1] << 8 | head[2] << 16 | static_cast<std::size_t>(head[3]) << 24;
  if (size > (64u << 20)) return 1;
  std::string body(size, '\0');
  if (!read_exactly(channel, body.data(), size)) return 1;
  auto start = wire::decode<JobStart>(body);
  if (!start) return 1;
  run_job(*start, channel, cancel, store, place);
  return 0;
}

}  // namespace sluice::jobs
