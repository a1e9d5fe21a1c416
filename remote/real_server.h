// For tests: the programs of this folder as processes, and a sluice-cas on a port of its own.
#pragma once

#include <string>
#include <vector>

#include "base/process.h"

namespace sluice::remote::test {

struct Piped {
  Process process;
  UniqueFd out;  // its standard output
};

// A program of the build; it dies with the test. `quiet`: what it writes to standard error goes
// nowhere.
Piped start(std::vector<std::string> argv, bool quiet = false);

// A sluice-cas that is ready when the object is made, and killed with it if it still runs.
class RealServer {
 public:
  explicit RealServer(const std::string& directory,
                      std::vector<std::string> more = {"--allow-push"}, std::size_t endpoints = 1,
                      const std::string& bind = "127.0.0.1:0");
  ~RealServer();
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;

  void kill();
  // Ends it in order, and returns its status.
  int stop();
  const std::string& url(std::size_t index = 0) const { return urls_.at(index); }
  int port() const;
  pid_t pid() const;

 private:
  Piped running_;
  std::vector<std::string> urls_;
  bool ended_ = false;
};

}  // namespace sluice::remote::test
