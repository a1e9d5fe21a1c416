// The one way in which the model changes: a change is packed for the journal and applied, and what
// follows from it (records, messages, requests) is held back until flush() has written the journal:
// store, journal, publish. A scheduler that is started again replays the changes, and so has the
// same model, and says again what the broker may not have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/job_duration.h"
#include "scheduler/journal.h"
#include "scheduler/session_model.h"

namespace sluice::scheduler {

// What the scheduler does to the rest of the world. Calls come in the order in which they must take
// effect.
class Outputs {
 public:
  virtual ~Outputs() = default;
  // Writes the records. An error ends the process: nothing of what they say has happened yet.
  virtual Status journal(const std::vector<std::string_view>& records) = 0;
  // `ordinal`: how many changes the journal had when this record was made.
  virtual void publish(std::string_view type, std::string packed, std::uint64_t ordinal) = 0;
  virtual void send(const std::string& peer, std::string_view name, std::string body) = 0;
  virtual void start_runner() = 0;
  // Makes what was added to the store at `cachedir` survive loss of power. Nobody waits for it.
  virtual void sync(const std::string& /*cachedir*/) {}
  // Asks how long jobs took the last time; Core::durations() is called soon. False: nobody knows.
  virtual bool want_durations(const std::string& /*cachedir*/,
                              const std::vector<std::string>& /*projects*/) {
    return false;
  }
  virtual void took(JobDuration) {}
  // Asks the loader to write refs (`arguments`: packed wire::WriteRefs). refs_written() or
  // refs_unknown() answers, sooner or later.
  virtual void write_refs(std::uint64_t /*job*/, std::string /*arguments*/) {}
  // Asks the loader to load again (`arguments`: packed wire::ReloadArguments); reloaded() answers.
  virtual void reload(std::string /*arguments*/) {}
  // So many records wait to be acknowledged that no new jobs are to be given for now.
  virtual bool congested() const { return false; }
};

// The journal's writer and reader. One thread.
class Changes {
 public:
  // `effects` hears of every change, also of those that are replayed; it may hold back what it
  // makes of them here.
  Changes(const Clock& clock, Outputs& outputs, Effects& effects)
      : clock_(clock), outputs_(outputs), effects_(effects), since_(clock.monotonic()) {}

  const SessionModel& model() const { return model_; }
  // Passes on to SessionModel::offer(); the model stays as it is.
  void offer(std::unique_ptr<KnownSnapshot> loaded) { model_.offer(std::move(loaded)); }

  template <typename T>
  Status commit(const T& change) {
    if (broken_) return fail("scheduler", "journal", "The journal can't be written");
    pending_.push_back(pack_change(change));
    ++count_;
    ++version_;
    return model_.apply(change, effects_);
  }
  // Writes the journal, and lets go what was held back. After an error nothing of it has happened,
  // and nothing happens any more.
  Status flush();
  bool broken() const { return broken_; }

  // ---- Replay: every record of the journal in order. `published`: the last Published mark.
  void begin_replay(std::uint64_t published);
  Status replay(std::string_view record);
  // The session's time has gone on since the last change, as its jobs have.
  void end_replay();
  bool replaying() const { return replaying_; }
  // What follows from the change that is being applied is in the broker's log already.
  bool known() const { return replaying_ && count_ <= published_; }
  // The broker has every record that follows from the first `upto` changes.
  Status published(std::uint64_t upto);

  // ---- Time: the session's elapsed time leaves out what it was suspended for.
  Stamp stamp() const { return {clock_.wall_ns(), elapsed()}; }
  std::int64_t elapsed() const;
  // Called while a Resumed is applied.
  void resumed(const Stamp& at);

  // ---- Held back until the journal has what it follows from.
  void publish(std::string_view type, std::string packed);
  void send(const std::string& peer, std::string_view name, std::string body);
  void start_runner();
  void write_refs(std::uint64_t job, std::string arguments);
  void reload(std::string arguments);

  // A number that is another after every change, when a status may have other things to say.
  std::uint64_t version() const { return version_; }

 private:
  struct Held {
    enum class Kind : std::uint8_t { kPublish, kSend, kStartRunner, kWriteRefs, kReload } kind;
    std::string name;  // type or message name
    std::string body;
    std::string peer;
    std::uint64_t number = 0;  // kPublish: changes before; kWriteRefs: the job
  };

  const Clock& clock_;
  Outputs& outputs_;
  Effects& effects_;
  SessionModel model_;
  std::vector<std::string> pending_;
  std::vector<Held> held_;
  std::uint64_t count_ = 0, version_ = 0;
  std::uint64_t published_ = 0;
  bool replaying_ = false;
  bool broken_ = false;
  // The session's elapsed time is that of the last change while it is suspended or replayed; else
  // `base_` at `since_`.
  std::int64_t base_ = 0;
  Duration since_;
};

}  // namespace sluice::scheduler
