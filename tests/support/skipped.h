// What a unit test leaves out on this machine, told so that `scripts/test` can say it in its
// summary.
#pragma once

#include <iostream>
#include <string_view>

#include <catch2/catch.hpp>

namespace sluice {

// One line on standard output, in the form that scripts/lib.sh looks for: the running test's name,
// and why.
inline void say_skipped(std::string_view why) {
  std::cout << "SKIPPED: " << Catch::getResultCapture().getCurrentTestName() << ": " << why
            << std::endl;
}

}  // namespace sluice
