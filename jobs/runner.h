// Runner is the runner without its sockets: what it was given, what runs in which slot, what has
// ended and who knows of it. spec/jobs.md, from the runner's side.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "jobs/names.h"
#include "jobs/outbox.h"
#include "jobs/progress.h"
#include "wire/blob_helper.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/job_messages.h"
#include "wire/job_protocol.h"
#include "wire/messages.h"

namespace sluice::jobs {

// A job's log, and what its events say besides.
struct LogSource {
  std::string path;  // "": it has none
  wire::JobSection section;
  std::string context;  // the packed map without its job section
  std::string ticket;
};

// RunnerOutputs does what the runner has others do. Tests have fakes.
class RunnerOutputs {
 public:
  virtual ~RunnerOutputs() = default;
  // Sends a message to the scheduler. It is lost when there is no connection, which HELLO mends.
  virtual void send(std::string_view name, std::string body) = 0;
  // Publishes a record; gives its sequence number.
  virtual std::uint64_t publish(std::string_view type, std::string packed_event,
                                std::string_view ticket) = 0;
  virtual std::uint64_t acknowledged() const = 0;
  // Starts a job process, or of a brief job (spec/jobs.md) the program itself. Its events come by
  // on_job_event(), its end by on_job_end().
  virtual Status start(const JobStart& start) = 0;
  virtual void cancel(const wire::JobId& id, Duration grace) = 0;
  virtual Result<std::string> scratch_root(const std::string& builddir) = 0;
  virtual Status freeze() = 0;
  virtual void thaw() = 0;
  // The log is complete: the job's process has ended. What of it is wanted later is to be
  // opened now, as it may be removed.
  virtual void on_log_end(const wire::JobId& /*id*/, const LogSource& /*log*/) {}
  // Somebody looks at what the jobs do: Runner::say_progress() is to be called a few times a
  // second. Or nobody does any more.
  virtual void on_watched(bool /*watched*/) {}

  // ---- Of a runner that has a store of its own (blobs.h); on_transfer() says how each ended.
  virtual void fetch(const wire::JobId&, std::vector<wire::JobInput>) {}
  virtual void prefetch(const wire::JobId&, std::vector<wire::JobInput>) {}
  virtual void upload(const wire::JobId&, std::string /*ref*/, std::string /*log*/) {}
  virtual void cancel_transfers(const wire::JobId&) {}
  virtual void forget_blobs() {}
};

// Where a runner that has a store of its own has it, and who has the session's blobs. The
// directories take the place of those in the settings of jobs; absolute paths.
struct RemotePlace {
  std::string cachedir, sourcedir, builddir, logdir;
  wire::RemoteSpec cas;
  std::string cas_name;  // that the certificate of its server has; "": its address
  // cache.storage-service of this machine's configuration, which is asked first.
  std::optional<wire::RemoteSpec> storage;
  std::uint32_t max_jobs = 0;  // 0: by `processors`, as where the session is
};
template <typename C>
void fields(C& c, RemotePlace& m) {
  c("cachedir", m.cachedir);
  c("sourcedir", m.sourcedir);
  c("builddir", m.builddir);
  c("logdir", m.logdir);
  c("cas", m.cas);
  c.optional("cas_name", m.cas_name);
  c.optional("storage", m.storage);
  c.optional("max_jobs", m.max_jobs);
}

struct RunnerOptions {
  wire::Hello hello;
  std::string host;
  std::uint32_t slots = 1;
  std::uint32_t processors = 1;  // this host's
  // What HELLO says of the machine: platform, labels, fingerprint and so on.
  wire::RunnerHello offer;
  std::optional<Duration> leaves_at;  // monotonic; when its lifetime is over
  std::optional<RemotePlace> place;
};

// One thread.
class Runner {
 public:
  Runner(const Clock& clock, RunnerOutputs& outputs, Outbox outbox, RunnerOptions options);

  // Called when the link was made, for the first time or again.
  void on_connected();
  // Takes a message of the scheduler. What can't be decoded is counted and dropped.
  void on_message(std::string_view name, std::string_view body);
  void on_acknowledged();
  void on_job_event(const wire::JobId& id, const JobEvent& event);
  void on_job_end(const wire::JobId& id);
  // A fetch, prefetch or upload has ended; it waits for a server that can't be reached.
  void on_transfer(const wire::JobId& id, wire::HelperVerb verb, const wire::HelperReply& reply);
  void on_transfer_waits(const wire::JobId& id, const std::string& why);
  // Called at each heartbeat interval.
  void on_beat();
  // Says what the jobs do now, as far as it wasn't said.
  void say_progress();

  // The session ends: everything is killed, nothing new is taken.
  void end(Duration grace);
  bool ending() const { return ending_; }
  // Takes no more jobs, and gives back those that haven't started (J92).
  void drain(std::string why);
  bool draining() const { return draining_; }
  // Says GOODBYE, and gives true, when a draining runner has nothing in hand any more.
  bool leave_if_drained();
  // Whether the scheduler wants what runs to end too.
  bool told_to_leave() const { return told_to_leave_; }
  // How long it has had nothing to do.
  Duration idle_for() const;
  // When something was last heard of the scheduler; before that, when this runner was made.
  Duration heard_at() const { return heard_at_; }
  const std::string& refusal() const { return refusal_; }
  // Whether nothing runs any more.
  bool idle() const { return running_.empty(); }
  // The interval that WELCOME named; 0: there was none yet.
  std::uint32_t heartbeat_ms() const { return heartbeat_ms_; }
  bool refused_for_good() const { return refused_; }

  struct Running {
    wire::JobSection section;
    std::string ticket;
    std::string context;  // the packed map without its job section
    model::Resource resource = model::Resource::kProcess;
    std::uint32_t slot = 0;
    Duration started{};
    Duration paused{};
    std::uint64_t last_record = 0;
    std::optional<wire::JobResult> result;
    bool cancelled = false;
    bool brief = false;
    std::string log_path;  // where its process writes the log; the section has the session's path
    Steps steps;
    LogSource log() const { return {log_path, section, context, ticket}; }

    // Of a job whose inputs come from elsewhere: what it does besides running.
    enum class Phase : std::uint8_t { kRuns, kFetches, kFetched, kUploads };
    Phase phase = Phase::kRuns;
    bool travels = false;
    bool said_waiting = false;
    std::optional<JobStart> start;  // until it runs
    std::uint32_t tail_lines = 0;
    std::uint64_t fetched = 0, storage_fetched = 0;
  };
  const std::map<wire::JobId, Running>& running() const { return running_; }
  std::uint64_t malformed() const { return malformed_; }

 private:
  friend struct RunnerState;  // tests/model, which tells two states apart by it
  struct Waiting {
    wire::Job job;
    std::uint32_t limit = 1;   // jobs of its resource at a time, by its settings
    std::uint32_t tokens = 0;  // processes of the host, by its settings
    bool limits_memory = false;
    std::string builddir;
    std::string logdir;
    std::string cachedir;
    std::uint32_t tail_lines = 0;
    bool travels = false;     // its inputs are elsewhere
    bool prefetched = false;  // or that is under way
    std::uint64_t fetched = 0, storage_fetched = 0;
  };
  void say_hello();
  void say_beat();
  void on_jobs(std::string_view body);
  void on_cancel(const wire::Cancel& cancel);
  void say(Running& job, const JobEvent& event);
  void pump();
  Status start(Waiting& waiting);
  // Puts this runner's directories and processors into the settings of a job.
  void take_place(model::Settings& settings) const;
  void prefetch_next();
  void on_fetched(const wire::JobId& id, const wire::HelperReply& reply);
  void on_uploaded(const wire::JobId& id, const wire::HelperReply& reply);
  void warn(Running& job, std::string text, std::string detail = {});
  void remark_storage(Running& job, const wire::HelperReply& reply);
  void begin_fetched();
  // Starts the process of a job whose inputs have come.
  void begin(const wire::JobId& id);
  void upload(const wire::JobId& id, Running& job);
  // Ends a job that has no process now.
  void end_without_process(const wire::JobId& id, model::Outcome status,
                           const wire::ErrorBody& error);
  // Finishes with results whose jobs have no records to wait for.
  void finish(std::vector<wire::JobResult> results);
  void finish(const wire::JobId& id, wire::JobResult result, std::uint64_t record);
  // Puts results into the outbox; send_ready() sends them.
  void keep(std::vector<wire::JobResult> results);
  void send_ready();
  void say_drain();
  std::uint32_t free_slot() const;
  std::uint32_t used(model::Resource resource) const;
  std::uint32_t limit_of(const Waiting& waiting) const;
  Duration now() const;
  void set_clock(std::int64_t session);

  const Clock& clock_;
  RunnerOutputs& outputs_;
  Outbox outbox_;
  RunnerOptions options_;
  std::deque<Waiting> waiting_;
  std::map<wire::JobId, Running> running_;
  std::deque<wire::JobId> ready_;  // results to be sent
  // The last record of each job whose result is in the outbox: the broker must have it first.
  std::map<wire::JobId, std::uint64_t> records_of_;
  ProgressTeller progress_;
  wire::JobLimits limits_;  // as the scheduler has said; 0: as the settings of jobs say
  std::uint64_t connection_ = 0;
  // Whether WELCOME came on this connection: the scheduler knows what of an earlier one was lost.
  bool greeted_ = false;
  wire::Greeting greeting_;
  bool suspended_ = false;
  bool ending_ = false;
  bool refused_ = false;
  bool draining_ = false;
  bool told_to_leave_ = false;
  std::string drain_why_;
  bool drain_unsaid_ = false;  // as long as it isn't welcomed
  std::vector<wire::JobId> returned_;
  std::string refusal_;
  Duration busy_at_{};  // when it last had something in hand
  Duration suspended_at_{};
  std::uint32_t heartbeat_ms_ = 0;
  unsigned silent_beats_ = 0;
  Duration heard_at_;
  // What has to be added to this machine's wall clock for the session's.
  std::int64_t clock_offset_ = 0;
  unsigned answered_beats_ = 0;  // in which it need not beat unasked
  std::uint64_t malformed_ = 0;
};

}  // namespace sluice::jobs
