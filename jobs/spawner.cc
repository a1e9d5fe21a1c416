#include "jobs/spawner.h"

#include <csignal>
#include <poll.h>
#include <utility>

namespace sluice::jobs {

Spawner::~Spawner() {
  signal_all(SIGKILL);
  for (auto& [id, process] : processes_) {
    reactor_.remove_fd(process.pidfd.get());
    (void)wait_for(process);
  }
}

Status Spawner::start(const wire::JobId& id) {
  SpawnOptions options;
  options.argv = {"/bin/true"};
  options.die_with_parent = true;
  auto process = spawn(options);
  if (!process) return forward(process);
  const int fd = process->pidfd.get();
  processes_.emplace(id, std::move(*process));
  reactor_.on_fd(fd, POLLIN, [this, id](short) { ended(id); });
  return {};
}

void Spawner::signal_all(int signal) {
  for (const auto& [id, process] : processes_) (void)send_signal(process, signal);
}

void Spawner::kill(const wire::JobId& id) {
  if (const auto found = processes_.find(id); found != processes_.end()) (void)send_signal(found->second, SIGKILL);
}

void Spawner::ended(const wire::JobId& id) {
  auto node = processes_.extract(id);
  reactor_.remove_fd(node.mapped().pidfd.get());
  on_end_(id, wait_for(node.mapped()));
}

}  // namespace sluice::jobs
