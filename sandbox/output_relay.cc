#include "sandbox/output_relay.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace sluice::sandbox {

namespace {

constexpr std::size_t kAtOnce = 64 << 10;

}  // namespace

Result<OutputRelay> OutputRelay::make(int file, const SandboxLimits& limits) {
  OutputRelay relay(file, limits);
  int pipes[2];
  // The commands' end blocks, as theirs would without us. Its flags are its own, but a program
  // there may change them.
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  relay.exit_.reset(pipes[0]);
  relay.entry_.reset(pipes[1]);
  ::fcntl(relay.exit_.get(), F_SETFL, O_NONBLOCK);
  struct stat info {};
  if (file >= 0 && ::fstat(file, &info) == 0)
    relay.before_ = static_cast<std::uint64_t>(info.st_size);
  if (limits.silence.count() > 0) relay.last_ = limits.clock();
  return relay;
}

bool OutputRelay::move() {
  if (!exit_) return false;
  char buffer[kAtOnce];
  const ssize_t n = ::read(exit_.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    exit_.reset();
    return false;
  }
  std::string_view text(buffer, static_cast<std::size_t>(n));
  if (limits_.log > 0)
    text = text.substr(0, limits_.log > before_ + moved_ ? limits_.log - before_ - moved_ : 0);
  // A log that can't be written (disk full) must not end the build that it is about.
  if (file_ >= 0) (void)write_all(file_, text);
  moved_ += static_cast<std::uint64_t>(n);
  if (limits_.silence.count() > 0) last_ = limits_.clock();
  return true;
}

void OutputRelay::drain() {
  while (move()) {
  }
}

Status OutputRelay::check() {
  if (limits_.log > 0 && before_ + moved_ > limits_.log) {
    return fail("sandbox", "max-log-size",
                fmt::format("The commands were ended: their log grew over {} bytes (max-log-size "
                            "of the user configuration)",
                            limits_.log));
  }
  if (limits_.silence.count() > 0 && limits_.clock() - last_ >= limits_.silence) {
    return fail(
        "sandbox", "max-silent-time",
        fmt::format("The commands were ended: they wrote nothing for {} seconds (max-silent-time "
                    "of the user configuration)",
                    std::chrono::duration_cast<std::chrono::seconds>(limits_.silence).count()));
  }
  return {};
}

int OutputRelay::patience() const {
  if (limits_.silence.count() <= 0) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(limits_.silence - (limits_.clock() - last_));
  return static_cast<int>(std::clamp<long long>(left.count(), 0, 60'000));
}

std::string OutputRelay::tail(std::size_t most) const {
  struct stat info {};
  if (file_ < 0 || ::fstat(file_, &info) != 0) return {};
  const auto size = static_cast<std::uint64_t>(info.st_size);
  std::string text(static_cast<std::size_t>(
                       std::min<std::uint64_t>(std::min<std::uint64_t>(moved_, size), most)),
                   '\0');
  const ssize_t n =
      ::pread(file_, text.data(), text.size(), static_cast<off_t>(size - text.size()));
  text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return text;
}

}  // namespace sluice::sandbox
