// The reactor's side of sluice-web: what it knows of living sessions (their newest status, that
// their log has grown), requests to them, and logs that runners elsewhere have. HTTP's threads come
// here for it; no socket of ZeroMQ ever leaves the reactor's thread.
//
// Of what goes to browsers nothing is kept here but the newest status of each session and at most a
// megabyte of each log that is followed: records are read from the session's file by whoever sends
// them, at the pace at which his browser takes them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/tool.h"
#include "wire/control.h"
#include "wire/job_messages.h"
#include "wire/live.h"
#include "wire/log_reader.h"
#include "wire/reactor.h"
#include "wire/session.h"

namespace sluice::renderer {

// What of a session may have changed. Guarded by its mutex; `changed` is notified.
struct Watch {
  wire::SessionPaths paths;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t size = 0;   // of the record log's file, as it was seen
  bool over = false;        // nothing will be added to that
  std::string status;       // JSON (page_status()); "" while nothing was heard
  std::uint64_t heard = 0;  // statuses
  bool stop = false;        // this program ends

  // Events of large records (a run's thousands of elements), by their cursors: made once for all
  // streams that send them just then. They have a mutex of their own, which is held while one is
  // made.
  std::mutex large_mutex;
  std::map<std::uint64_t, std::weak_ptr<const std::string>> large;
};

// A log that comes from a job's runner. Guarded by its mutex; `changed` is notified.
struct LogFeed {
  static constexpr std::size_t kMost = 1 << 20;
  std::mutex mutex;
  std::condition_variable changed;
  std::string text;  // not taken yet
  std::string error;
  bool ended = false, stop = false;
};

class Hub {
 public:
  Hub();
  ~Hub();

  // From the reactor's thread: until SIGINT or SIGTERM, or stop().
  Status run(std::function<void()> on_end);

  // From any thread.
  void stop();
  // For who waits for another program.
  Stop told_to_stop() const {
    return {stop_.get(), [this] { return stopping_.load(); }};
  }
  // While somebody holds it the session is looked at.
  std::shared_ptr<Watch> watch(const wire::SessionPaths& paths);
  // Asks a service, and waits for the answer.
  wire::Reply ask(const wire::SessionPaths& paths, std::string service, std::string command,
                  std::string arguments);
  // The log of a job's attempt from a byte on, while somebody holds it.
  std::shared_ptr<LogFeed> follow_log(const wire::SessionPaths& paths, const wire::JobId& id,
                                      const std::string& runner, std::uint64_t offset);

 private:
  struct Watched {
    std::weak_ptr<Watch> watch;
    std::unique_ptr<wire::LiveSubscriber> live;
    Duration with_lines{};  // when a status with lines of output was heard
    bool over = false;
  };
  struct Feed {
    std::weak_ptr<LogFeed> feed;
    wire::SessionPaths paths;
    wire::JobId id;
    std::string runner;
    std::uint64_t offset = 0;
    std::unique_ptr<wire::LogReader> reader;
    bool over = false;
  };

  // Has the reactor do it. Whatever `work` refers to must live until it was done.
  void post(std::function<void()> work);
  void work_off();
  void look();          // for what has grown
  void look_for_end();  // of sessions
  void begin(const std::string& id, const std::shared_ptr<Watch>& watch);
  void heard(Watched& watched, std::string_view topic, std::string_view packed);
  void feed_logs();
  void open_feed(Feed& feed);
  wire::ControlClient* control_of(const wire::SessionPaths& paths, Error& error);

  wire::Context context_;
  wire::Reactor reactor_;
  UniqueFd wake_, stop_;
  std::mutex mutex_;  // of what follows
  std::vector<std::function<void()>> posted_;
  std::map<std::string, std::weak_ptr<Watch>> watches_;  // by id
  std::atomic<bool> stopping_ = false;
  // The reactor's own.
  std::map<std::string, Watched> watched_;
  std::map<std::string, std::unique_ptr<wire::ControlClient>> controls_;
  std::vector<std::unique_ptr<Feed>> feeds_;
};

}  // namespace sluice::renderer
