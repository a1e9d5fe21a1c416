// A helper program of Sluice's that works until nobody wants it any more: its standard input, on
// which it gets one frame as its request, stays open as long as somebody does. It hears by that
// when the process that started it has died, too, and can end in order then.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"

namespace sluice::wire {

// One thread. The program is killed when this goes.
class HeldHelper {
 public:
  // `directory`: to work in; "": inherited.
  static Result<HeldHelper> start(const std::string& program, const std::string& request,
                                  const std::string& directory = {});
  HeldHelper(HeldHelper&&) noexcept = default;
  HeldHelper& operator=(HeldHelper&&) = delete;
  ~HeldHelper();

  int out() const { return out_.get(); }  // its standard output
  // Tells it that it isn't wanted any more.
  void release() { in_.reset(); }
  // Waits for its end; its status in the shell's numbers.
  int end();

 private:
  HeldHelper() = default;
  Process process_;
  UniqueFd in_, out_;
};

}  // namespace sluice::wire
