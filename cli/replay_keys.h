// The keys of whoever looks on while a session is shown again: hold it, faster, slower, enough.
#pragma once

#include <functional>
#include <string_view>

#include "cli/key_input.h"
#include "cli/renderers.h"
#include "wire/reactor.h"

namespace sluice::cli {

// Lives in the reactor's thread.
class ReplayKeys {
 public:
  // `speed`: times as fast as it went, as it begins; 0: without waiting.
  ReplayKeys(wire::Reactor& reactor, Renderers& renderers, double speed,
             std::function<void()> quit);

  // Takes keys, and says which in the renderer's area.
  void on();
  void off() { input_.off(); }

 private:
  void typed(std::string_view keys);
  void change_speed(double by);
  void say();

  Renderers& renderers_;
  const std::function<void()> quit_;
  KeyInput input_;
  double speed_;
  bool held_ = false;
};

}  // namespace sluice::cli
