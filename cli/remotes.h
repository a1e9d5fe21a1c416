// Caches on other machines: which of them a command uses, as BuildStream decides it
// (Context.initialize_remotes, RemoteSpec.new_from_string), and which of these answer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "wire/messages.h"
#include "wire/reactor.h"

namespace sluice::cli {

// The servers of each project in the order in which they are asked, each once. `artifacts`,
// `sources`: whether the command has to do with them. `storage`: cache.storage-service, the first
// of those for artifacts, as one of kBacking (model/remotes.h). Empty when there are none at all.
std::vector<wire::ProjectRemotes> choose_remotes(
    const std::vector<wire::ProjectServers>& servers, const RemoteOptions& options, bool artifacts,
    bool sources, const std::optional<model::Remote>& storage = std::nullopt);

// Every server of `remotes`, once.
std::vector<model::Remote> all_servers(const std::vector<wire::ProjectRemotes>& remotes);

// Looks which servers answer, by sluice-remote, beside the reactor.
class RemoteCheck {
 public:
  struct Found {
    std::vector<std::string> reached;   // URLs
    std::vector<std::string> warnings;  // of the others
  };
  // `done` is called once, from the reactor.
  static Result<std::unique_ptr<RemoteCheck>> start(wire::Reactor& reactor,
                                                    const std::string& cachedir,
                                                    std::vector<model::Remote> servers,
                                                    std::function<void(Result<Found>)> done);
  ~RemoteCheck();

  struct State;

 private:
  explicit RemoteCheck(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Asks which of `names`, "PROJECT/ELEMENT/KEY", one of the servers has; those that don't answer are
// told in `warnings`. Waits.
Result<std::vector<std::string>> find_artifacts(const std::string& cachedir,
                                                std::vector<model::Remote> servers,
                                                std::vector<std::string> names,
                                                std::vector<std::string>& warnings);

// Takes out what doesn't answer.
void keep_reached(std::vector<wire::ProjectRemotes>& remotes,
                  const std::vector<std::string>& reached);

}  // namespace sluice::cli
