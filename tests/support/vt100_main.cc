// vt100 COLUMNS ROWS: what a terminal of that size shows after the bytes of the standard input. Status
// 1, and the reason, when some of them aren't understood.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/support/vt100.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  sluice::testing::Vt100 terminal(std::strtoul(argv[1], nullptr, 10),
                                  std::strtoul(argv[2], nullptr, 10));
  terminal.feed(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  for (const auto& row : terminal.screen()) std::printf("%s\n", row.c_str());
  if (terminal.error().empty()) return 0;
  std::printf("%s\n", terminal.error().c_str());
  return 1;
}
