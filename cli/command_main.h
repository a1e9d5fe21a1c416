// The main() of the programs that have Sluice's command line.
#pragma once

#include "cli/commands.h"

namespace sluice::cli {

// Parses, answers help and usage errors itself, decides about terminal and colours, and calls
// `dispatch`, whose status it returns.
int command_main(int argc, char** argv,
                 int (*dispatch)(Invocation& invocation, const Command& command));

}  // namespace sluice::cli
