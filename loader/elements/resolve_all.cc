#include "loader/elements/resolve_all.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/threads.h"
#include "base/try.h"
#include "loader/project/plugins.h"
#include "project/read_ahead.h"

namespace sluice::loader {

bool ResolveAll::prepare(const std::vector<LoadIndex>& roots) {
  resolved_.resize(graph_.elements().size());
  order(roots);
  for (const LoadIndex index : order_) {
    take_dependencies_of(graph_.at(index), resolved_[index]);
    if (Status projects = load_plugin_projects(graph_.at(index)); !projects) {
      failed_at_ = index;
      failure_ = std::move(projects);
      return false;
    }
    if (!resolver_.prepare(graph_.at(index))) return false;
    resolver_.look_around(graph_, index);
  }
  resolver_.start_plugins(order_.size());
  // Some plugins want to know more once they are asked.
  for (bool more = true, first = true; more; first = false) {
    for (const LoadIndex index : order_) resolver_.collect_questions(graph_.at(index));
    more = resolver_.ask_collected() && first;
  }
  return true;
}

Status ResolveAll::in_turn() {
  for (const LoadIndex index : order_) {
    // A project that can't be loaded isn't asked for twice: that fails in another way.
    if (index == failed_at_) return failure_;
    if (graph_.at(index).forgotten()) continue;  // resolved, and of no use any more
    CHECK(load_plugin_projects(graph_.at(index)));
    resolver_.look_around(graph_, index);
    CHECK(resolve(resolver_, index));
  }
  return {};
}

Status ResolveAll::at_once(const std::vector<LoadIndex>& first,
                           const std::function<Status(LoadIndex)>& take) {
  std::vector<LoadIndex> all = first;
  std::vector<bool> among(resolved_.size());
  for (const LoadIndex index : first) among[index] = true;
  for (const LoadIndex index : order_) {
    if (!among[index]) all.push_back(index);
  }
  const std::size_t chunks = (all.size() + kTogether - 1) / kTogether;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> taken{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  Status error;
  std::vector<std::atomic<bool>> done(chunks);
  const auto resolve_chunk = [&](ElementResolver& resolver, std::size_t chunk) {
    for (std::size_t i = chunk * kTogether;
         i < std::min((chunk + 1) * kTogether, all.size()) && !failed; ++i) {
      resolver.at(i);
      Status one = resolve(resolver, all[i]);
      if (one) continue;
      const std::lock_guard lock(mutex);
      if (error) error = std::move(one);
      failed = true;
    }
    done[chunk] = true;
    done[chunk].notify_one();
  };
  const auto help = [&](ElementResolver& resolver) {
    for (std::size_t chunk = next++; chunk < chunks; chunk = next++) {
      for (std::size_t seen = taken; chunk >= seen + kAhead; seen = taken) taken.wait(seen);
      resolve_chunk(resolver, chunk);
    }
  };
  std::vector<std::unique_ptr<ElementResolver>> thread_resolvers;
  Status status;
  {
    Helpers threads;
    for (std::size_t i = 1; i < std::min({processors(), kMostThreads, chunks}); ++i) {
      thread_resolvers.push_back(resolver_.thread_resolver());
      if (!threads.add([&help, &resolver = *thread_resolvers.back()] { help(resolver); })) break;
    }
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
      while (!done[chunk]) {
        // Resolving another chunk is better than waiting.
        const std::size_t other = next < chunk + kAhead ? next++ : chunks;
        if (other < chunks) {
          resolve_chunk(resolver_, other);
        } else {
          done[chunk].wait(false);
        }
      }
      for (std::size_t i = chunk * kTogether;
           i < std::min((chunk + 1) * kTogether, first.size()) && !failed && status; ++i) {
        status = take(first[i]);
      }
      if (!status) failed = true;
      ++taken;
      taken.notify_all();
    }
  }
  resolver_.absorb(thread_resolvers);
  if (!error) return error;
  return status;
}

void ResolveAll::order(const std::vector<LoadIndex>& roots) {
  std::vector<bool> seen(resolved_.size());
  std::vector<LoadIndex> pending(roots.rbegin(), roots.rend());
  while (!pending.empty()) {
    const LoadIndex index = pending.back();
    pending.pop_back();
    if (seen[index]) continue;
    seen[index] = true;
    order_.push_back(index);
    const std::vector<LoadDependency>& dependencies = graph_.at(index).dependencies;
    for (auto dependency = dependencies.rbegin(); dependency != dependencies.rend(); ++dependency) {
      if (!seen[dependency->element]) pending.push_back(dependency->element);
    }
  }
}

Status ResolveAll::resolve(ElementResolver& resolver, LoadIndex index) {
  ResolvedElement& element = resolved_[index] = TRY(resolver.resolve(graph_.at(index)));
  if (!bodies_.has(graph_.at(index).full_name())) {
    element.body.reset();
  } else if (pack_ && element.dependency_configs.empty()) {
    // A body that refers to other elements can only be packed when all have their positions.
    element.packed_body = pack_(*element.body);
    element.body.reset();
  }
  return {};
}

}  // namespace sluice::loader
