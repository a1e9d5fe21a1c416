// Whoever shows a session reads it by these: one that lives and one that has ended alike, on this
// machine or on another one, from a record on. spec/records.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/live.h"
#include "wire/reactor.h"
#include "wire/record_reader.h"
#include "wire/session.h"
#include "wire/socket.h"

namespace sluice::wire {

// Follows a session to its end: every record once and in order, and what of the live events is
// wanted. Of a session that is over the records come from its file. Lives in the reactor's thread.
class Follower {
 public:
  struct Settings {
    SessionPaths paths;
    std::string role = "renderer";    // renderer | collector
    std::string name;                 // of the program; with its process id the broker knows it by
    std::uint64_t cursor = 1;         // of the first record that is wanted
    std::vector<std::string> topics;  // of live events; more by subscribe()
  };
  struct Callbacks {
    RecordReader::OnRecord on_record;
    LiveSubscriber::OnEvent on_live;  // may be empty where no topics are wanted
    // Called once. `gone`: there is no more, and the session died without an end.
    RecordReader::OnEnd on_end;
  };
  // Error "app"/"no-session": there is none.
  static Result<std::unique_ptr<Follower>> create(Context& context, Reactor& reactor,
                                                  Settings settings, Callbacks callbacks);

  std::uint64_t next_cursor() const { return reader_->next_cursor(); }
  // Between the two no records are asked for: whoever can't take more keeps his place as a cursor.
  void pause() { reader_->pause(); }
  void resume() { reader_->resume(); }
  // Topics of live events that come and go. Does nothing of a session that was over at the start.
  // Until there is a topic there is no connection for them.
  Status subscribe(const std::string& topic);
  Status unsubscribe(const std::string& topic);

 private:
  Status connect_live(const std::vector<std::string>& topics);

  Context* context_ = nullptr;
  Reactor* reactor_ = nullptr;
  SessionPaths paths_;
  LiveSubscriber::OnEvent on_live_;
  bool over_ = false;  // at the start
  std::unique_ptr<RecordReader> reader_;
  std::unique_ptr<LiveSubscriber> live_;
};

// The cursor that a living session's next record will get. Waits for the answer as long as the
// session lives, or until a SIGINT, SIGTERM or SIGHUP is pending that the caller has blocked.
// Error: "session"/"no-answer".
Result<std::uint64_t> end_cursor(const SessionPaths& paths, Hello hello);

// Hands over the records that a session has now, from the first on, until `take` gives false: of
// one of this machine from its file, of one of another machine from its broker. `name` as
// Follower's. Gives whether the session is over. Errors: of read_records(), of end_cursor().
Result<bool> read_until_now(const SessionPaths& paths, const std::string& name,
                            const std::function<bool(std::string_view packed)>& take);

}  // namespace sluice::wire
