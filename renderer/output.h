// Where a renderer writes. Nothing here waits: what the other side does not take stays pending,
// whoever writes looks at idle() and pending() first, and so a terminal that accepts nothing (^S, a
// stopped pager) costs a bounded amount of memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::renderer {

class Sink {
 public:
  virtual ~Sink() = default;
  // Does one write(2). Returns how many bytes were taken; 0 when nothing can be taken now. An error
  // is final.
  virtual Result<std::size_t> write(std::string_view data) = 0;
};

// A descriptor that doesn't block. The open file descriptions of a terminal or a pipe are shared
// with other processes (the shell, the command line), whose writes must go on blocking: so it is
// opened anew, not set to O_NONBLOCK.
class FdSink final : public Sink {
 public:
  // `fd` stays its owner's.
  static Result<FdSink> of_descriptor(int fd);
  // Opens a file, which is made when absent, and emptied unless `append` says otherwise or it is no
  // regular file. Opening a FIFO waits for its reader.
  static Result<FdSink> of_file(const std::string& path, bool append);

  Result<std::size_t> write(std::string_view data) override;
  int fd() const { return fd_.get(); }
  bool terminal() const;

 private:
  explicit FdSink(UniqueFd fd, bool may_block, bool socket)
      : fd_(std::move(fd)), may_block_(may_block), socket_(socket) {}
  UniqueFd fd_;
  bool may_block_;  // it couldn't be opened anew, so small parts are written when poll() says so
  bool socket_;
};

// A queue of what is to be written. One thread.
class Output {
 public:
  explicit Output(Sink& sink) : sink_(sink) {}

  void add(std::string_view data) { pending_ += data; }
  // Tries to write what is pending: one write(), and more only after one that was taken in part. An
  // error is final.
  Status flush();
  bool idle() const { return pending_.size() == written_; }
  std::size_t pending() const { return pending_.size() - written_; }
  std::uint64_t writes() const { return writes_; }

 private:
  Sink& sink_;
  std::string pending_;
  std::size_t written_ = 0;  // of pending_
  std::uint64_t writes_ = 0;
};

}  // namespace sluice::renderer
