// The records of one session, or of all of this user's on this machine: those that live, and those
// that begin later. For programs that go on while sessions come and go.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wire/follow.h"

namespace sluice::renderer {

// Lives in the reactor's thread.
class Watch {
 public:
  struct Settings {
    std::string session;  // id; "": all
    std::string role = "collector";
    std::string name;                 // of the program
    std::vector<std::string> topics;  // of live events that are wanted
    // Of all: sessions with an id after this one are followed though they have ended meanwhile; "":
    // none of those that were over at the start.
    std::string since;
    // The cursor that a session is followed from; 0: not at all.
    std::function<std::uint64_t(const wire::SessionPaths&)> from;
    // Of all: sessions that are to be followed though they are over.
    std::vector<std::string> unfinished;
    bool revived = false;  // of all: those that died and were resumed again, as `from` has it then
  };
  struct Callbacks {
    std::function<void(const std::string& session, std::string_view packed)> on_record;
    std::function<void(const std::string& session, std::string_view packed)> on_status;
    // The last record was delivered; `gone`: the session died without an end.
    std::function<void(const std::string& session, bool gone)> on_end;
  };
  // Error of Follower::create(), where it is about one session.
  static Result<std::unique_ptr<Watch>> create(wire::Context& context, wire::Reactor& reactor,
                                               Settings settings, Callbacks callbacks);
  ~Watch();

  // Between the two no records are asked for.
  void pause();
  void resume();
  std::size_t sessions() const { return followers_.size(); }
  // The newest id that was seen; "": none.
  const std::string& newest() const { return newest_; }

 private:
  Watch(wire::Context& context, wire::Reactor& reactor, Settings settings, Callbacks callbacks)
      : context_(context), reactor_(reactor), settings_(std::move(settings)),
        callbacks_(std::move(callbacks)) {}
  Status follow(const wire::SessionPaths& paths);
  void look();
  bool wanted(const wire::SessionPaths& paths) const;

  wire::Context& context_;
  wire::Reactor& reactor_;
  const Settings settings_;
  const Callbacks callbacks_;
  std::map<std::string, std::unique_ptr<wire::Follower>> followers_;
  // What is followed, was, or never will be; of those that are still there.
  std::map<std::string, bool> known_;
  std::set<std::string> dead_;
  std::vector<std::unique_ptr<wire::Follower>> ended_;
  std::string newest_;
  bool begun_ = false;
  bool paused_ = false;
  wire::Reactor::TimerId looking_ = 0;
};

}  // namespace sluice::renderer
