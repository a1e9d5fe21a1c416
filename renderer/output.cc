#include "renderer/output.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::renderer {

namespace {

// What poll() promises: a pipe or a terminal that is writable takes so much.
constexpr std::size_t kSmallPart = 256;

}  // namespace

Result<FdSink> FdSink::of_descriptor(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, fmt::format("descriptor {}", fd));
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno(errno, fmt::format("descriptor {}", fd));
  // A regular file never blocks, and its position belongs to all who share it.
  if (S_ISREG(info.st_mode)) return FdSink(std::move(copy), false, false);
  if (S_ISSOCK(info.st_mode)) return FdSink(std::move(copy), false, true);
  UniqueFd own(::open(fmt::format("/proc/self/fd/{}", fd).c_str(),
                      O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (own) return FdSink(std::move(own), false, false);
  return FdSink(std::move(copy), true, false);
}

Result<FdSink> FdSink::of_file(const std::string& path, bool append) {
  struct stat info {};
  const bool present = ::stat(path.c_str(), &info) == 0;
  const bool regular = !present || S_ISREG(info.st_mode);
  int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | O_APPEND;
  if (regular) flags |= O_CREAT | (append ? 0 : O_TRUNC);
  UniqueFd fd(::open(path.c_str(), flags, 0666));
  if (!fd) return fail_errno(errno, path);
  // The description is ours alone, so it can be told not to block.
  if (!regular) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return FdSink(std::move(fd), false, false);
}

Result<std::size_t> FdSink::write(std::string_view data) {
  if (may_block_) {
    struct pollfd ready {
      fd_.get(), POLLOUT, 0
    };
    if (::poll(&ready, 1, 0) <= 0) return 0;
    data = data.substr(0, kSmallPart);
  }
  for (;;) {
    const ssize_t taken =
        socket_ ? ::send(fd_.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                : ::write(fd_.get(), data.data(), data.size());
    if (taken >= 0) return static_cast<std::size_t>(taken);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return fail_errno(errno, "writing");
  }
}

bool FdSink::terminal() const { return ::isatty(fd_.get()) == 1; }

Status Output::flush() {
  while (!idle()) {
    ++writes_;
    auto taken = TRY(sink_.write(std::string_view(pending_).substr(written_)));
    if (taken == 0) break;
    written_ += taken;
  }
  if (idle()) {
    // The memory of an unusually long burst is given back.
    if (pending_.capacity() > (1u << 20)) pending_ = std::string();
    pending_.clear();
    written_ = 0;
  }
  return {};
}

}  // namespace sluice::renderer
