// Hosts are the processes in which plugins do the work of sources: one with the network, and one
// without. For one thread.
#pragma once

#include <optional>

#include "plugins/host.h"

namespace sluice::plugins {

class Hosts {
 public:
  enum class Network { kNone, kShared };

  // `settings` must outlive it.
  explicit Hosts(const model::PluginSettings& settings) : settings_(settings) {}

  // The host, which sees nothing yet, or what it was told to see since it was ended. One with the
  // network has the user's home directory, proxies and agent, too.
  Host& get(Network network) {
    const bool shared = network == Network::kShared;
    std::optional<Host>& host = hosts_[shared ? 1 : 0];
    if (!host) host.emplace(settings_, View{{}, {}, shared, shared});
    return *host;
  }
  // Ends it, with every process that it started; the next one sees nothing of what this saw.
  void end(Network network) { hosts_[network == Network::kShared ? 1 : 0].reset(); }

  void end_all() {
    for (auto& host : hosts_) host.reset();
  }

 private:
  const model::PluginSettings& settings_;
  std::optional<Host> hosts_[2];
};

}  // namespace sluice::plugins
