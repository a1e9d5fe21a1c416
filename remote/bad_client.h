// For tests: clients that speak gRPC properly and behave as none should.
#pragma once

#include <memory>
#include <string>

#include "store/cas.h"

namespace sluice::remote::test {

// A connection of its own, until it is destroyed. `url`: http://HOST:PORT.
class BadClient {
 public:
  virtual ~BadClient() = default;
  // Asks for so many streams of the blob, and takes nothing of any.
  virtual void ask_and_not_read(const store::Digest& blob, int streams) = 0;
  // Begins to send a blob of that name, with `data` for its bytes, and doesn't finish it. Returns
  // when the server has said that it has ended, or `patient`: at once.
  virtual void send(const store::Digest& blob, const std::string& data, bool patient) = 0;
};
std::unique_ptr<BadClient> connect_bad_client(const std::string& url);

}  // namespace sluice::remote::test
