// The session that a command works in: one that it starts and that ends with it (the supervisor as
// a child, and the line to it, spec/session.md), or one that it joins and leaves alone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/process.h"
#include "base/result.h"
#include "wire/reactor.h"
#include "wire/session.h"

namespace sluice::cli {

// A session as the command has it. Lives in the reactor's thread.
class OwnSession {
 public:
  using Prepare = std::function<Status(const wire::SessionPaths&)>;
  struct Callbacks {
    std::function<void()> on_ready;                       // its sockets listen
    std::function<void(std::string_view why)> on_failed;  // it can't go on; it ends
    std::function<void()> on_gone;  // the supervisor has ended, and all with it; or we have left
    std::function<void()> on_detached;  // it goes on without us, and is gone for us
  };

  // Starts a session. `project` and `verb` are for people: `session list` shows them. `id` names a
  // dead session, which goes on from its state directory; "" makes a new one. `prepare` is called
  // when its directories are there and before any of its processes.
  static Result<std::unique_ptr<OwnSession>> start(wire::Reactor& reactor,
                                                   const std::string& project,
                                                   const std::string& verb, Callbacks callbacks,
                                                   const std::string& id = {},
                                                   const Prepare& prepare = {});
  // Joins a session that lives, which stays when we end.
  static std::unique_ptr<OwnSession> join(wire::Reactor& reactor, wire::SessionPaths paths,
                                          Callbacks callbacks);
  // Closes the line: what still lives ends in order by itself.
  ~OwnSession();

  const wire::SessionPaths& paths() const { return paths_; }
  // Lets the session outlive this command.
  void detach();
  // Ends the session in order; a second call does nothing. A session that was joined is left.
  void end();
  // Passes on a SIGTERM: the first ends the session in order, the second kills all processes at
  // once.
  void terminate();
  // Has all processes of the session killed at once.
  void end_at_once();
  void kill();
  bool gone() const { return gone_; }
  // How the supervisor has ended: "was killed by signal 9".
  const std::string& how() const { return how_; }
  bool joined() const { return joined_; }

 private:
  explicit OwnSession(wire::Reactor& reactor) : reactor_(reactor) {}
  static Result<std::unique_ptr<OwnSession>> start_in(wire::Reactor& reactor,
                                                      const wire::SessionPaths& paths,
                                                      const std::string& project,
                                                      const std::string& verb, Callbacks callbacks);
  void heard();
  void ended();
  void leave();

  wire::Reactor& reactor_;
  wire::SessionPaths paths_;
  Callbacks callbacks_;
  Process process_;
  std::optional<wire::SupervisorLine> line_;
  bool end_asked_ = false;
  bool gone_ = false;
  std::string how_;
  bool joined_ = false;
};

}  // namespace sluice::cli
