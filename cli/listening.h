// Sessions that others join from elsewhere (spec/access.md): what a session that is to listen on
// TCP needs before it starts, and the join files that its owner hands out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/own_session.h"
#include "wire/joined.h"
#include "wire/session.h"

namespace sluice::cli {

// Writes the session's keys, the keys that may enrol, and where it is to listen, into its state
// directory, which must be there. `cachedir`: the store that runners get blobs from. A session
// that has them already (it is resumed) keeps them.
Status prepare_listening(const wire::SessionPaths& paths, const ListenOptions& options,
                         const std::string& cachedir);

// Writes runner.json, observe.json and control.json, of mode 0600, into `directory` ("": the
// session's state directory), once the session listens. Returns their paths.
Result<std::vector<std::string>> write_join_files(const wire::SessionPaths& paths,
                                                  const std::string& directory);

// prepare_listening() for the session that a command starts; nothing without --listen.
OwnSession::Prepare preparation(const Invocation& invocation, const ListenOptions& options);
// Writes the join files and says on standard error where the session listens, and where they are.
Status say_join_files(Invocation& invocation, const wire::SessionPaths& paths,
                      const ListenOptions& options);

// What a join file says. Error "join": "bad-join" with what is wrong in it, "expired".
Result<wire::JoinTicket> read_join_file(const std::string& path);

// A directory of a process that has joined, its alone for as long as it lives: of several of one
// name on a machine each has another.
struct JoinPlace {
  std::string directory;
  UniqueFd lock;
};
Result<JoinPlace> take_join_place(const std::string& session, const std::string& name);
// What this machine is called, as a name that sessions take.
std::string machine_name();

inline constexpr Duration kJoinTimeout = std::chrono::seconds(20);

// Makes a key pair of one's own and enrols it. `name`: what one wants to be called; `directory`, of
// mode 0700, gets `joined` and, for runners, tls.key and tls.crt. What was enrolled from there
// before is enrolled still, under the same name. Errors: domain "join"
// ("expired", "not-let-in", "wrong-key"; "unreachable" and "no-answer" after `timeout`), those of
// the broker.
Result<wire::Joined> join_session(const wire::JoinTicket& ticket, const std::string& name,
                                  const std::string& directory, Duration timeout);

}  // namespace sluice::cli
