// For tests in Python: remote_exec_server DIRECTORY [MISDEED]. An execution server (exec_server.h)
// whose blobs are those of the cache directory, which a sluice-cas serves. Its URL is the first
// line that it writes; to each line that it reads it answers "executed N known N cancelled N". It
// ends with its standard input.
#include <iostream>
#include <string>

#include "remote/exec_server.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  auto cas = sluice::store::Cas::open(argv[1]);
  if (!cas) {
    std::cerr << cas.error().str() << std::endl;
    return 1;
  }
  const auto server = sluice::remote::test::start_exec_server(*cas, {argc > 2 ? argv[2] : ""});
  std::cout << server->url() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << "executed " << server->executed().size() << " known " << server->known().size()
              << " cancelled " << server->cancelled().size() << std::endl;
  }
  return 0;
}
