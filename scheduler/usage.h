// How much of the cache is used. The store counts it as it goes (store/space.h); where that count
// isn't to be believed it is counted anew, aside: looking at every object takes as long as there
// are many.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "store/space.h"
#include "wire/events.h"
#include "wire/reactor.h"

namespace sluice::scheduler {

// Measures how much of a cache is used. Lives in the reactor's thread; a thread of its own measures
// and hands over the numbers, and the callback runs in the reactor's.
class UsageMeter {
 public:
  using OnMeasured = std::function<void(const wire::CacheSection&)>;
  UsageMeter(wire::Reactor& reactor, OnMeasured on_measured);
  ~UsageMeter();
  // Measures the store at `cachedir`, which is there. Does nothing while that is being counted.
  void measure(const std::string& cachedir);

 private:
  struct Shared;
  void collect();
  void tell();

  wire::Reactor& reactor_;
  OnMeasured on_measured_;
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
  bool busy_ = false;
  std::string cachedir_;
  std::optional<store::Space> space_;
  std::optional<std::uint64_t> before_;  // the store's use, before it was counted
};

}  // namespace sluice::scheduler
