// How much of the cache is used, measured aside: looking at every object takes as
// long as there are many.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "wire/events.h"
#include "wire/reactor.h"

namespace sluice::scheduler {

// Lives in the reactor's thread. A thread of its own measures and hands over the
// numbers; the callback runs in the reactor's.
class UsageMeter {
 public:
  using OnMeasured = std::function<void(const wire::CacheSection&)>;
  UsageMeter(wire::Reactor& reactor, OnMeasured on_measured);
  ~UsageMeter();
  // Does nothing while a measurement is under way.
  void measure(const std::string& cachedir, std::uint64_t quota);

 private:
  struct Shared;
  void collect();

  wire::Reactor& reactor_;
  OnMeasured on_measured_;
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
  bool busy_ = false;
  std::uint64_t quota_ = 0;
};

}  // namespace sluice::scheduler
