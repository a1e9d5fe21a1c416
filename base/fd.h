// A file descriptor with one owner, and the reads and writes that finish.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace sluice {

// Owns a file descriptor; closes it when destroyed. Not shared between threads.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Writes all of `data`, going on after EINTR and short writes.
Status write_all(int fd, std::string_view data);
// Reads up to end of file, at most `limit` bytes (an error if there is more).
Result<std::string> read_all(int fd, std::size_t limit = std::size_t{1} << 31);

}  // namespace sluice
