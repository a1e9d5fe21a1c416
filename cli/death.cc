#include "cli/death.h"

#include <charconv>
#include <csignal>
#include <cstring>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"

namespace sluice::cli {

namespace {

// The number behind `name` at the start of a line of a file of /proc.
std::optional<std::uint64_t> number_in(const char* file, std::string_view name) {
  const auto text = read_file(file);
  if (!text) return std::nullopt;
  auto at = text->starts_with(name) ? 0 : text->find("\n" + std::string(name));
  if (at == std::string::npos) return std::nullopt;
  at = text->find_first_of("0123456789", at);
  std::uint64_t number = 0;
  if (at == std::string::npos) return std::nullopt;
  std::from_chars(text->data() + at, text->data() + text->size(), number);
  return number;
}

std::string name_of(int signal) {
  return fmt::format("signal {} ({})", signal, ::strsignal(signal));
}

}  // namespace

std::optional<Death> reap(const Process& process) {
  siginfo_t info{};
  rusage used{};
  // The C library's waitid() gives no resources.
  if (::syscall(SYS_waitid, P_PID, process.pid, &info, WEXITED | WNOHANG, &used) != 0)
    return Death{.status = 255};
  if (info.si_pid == 0) return std::nullopt;
  Death death;
  death.most_kib = used.ru_maxrss;
  if (info.si_code == CLD_EXITED) {
    death.status = info.si_status;
  } else {
    death.signal = info.si_status;
    death.core = info.si_code == CLD_DUMPED;
  }
  return death;
}

std::string Death::how() const {
  return signal != 0 ? "was killed by " + name_of(signal)
                     : fmt::format("ended with status {}", status);
}

std::string Death::details(std::optional<std::uint64_t> kills_before) const {
  std::string text =
      fmt::format("it used {} KiB at most{}", most_kib, core ? ", which are in a core file" : "");
  if (const auto free = number_in("/proc/meminfo", "MemAvailable:"))
    text += fmt::format("; the machine has {} KiB left", *free);
  const auto kills = memory_kills();
  if (kills && kills_before) {
    text += *kills == *kills_before
                ? "; the kernel has killed nobody for lack of memory in this session's time"
                : fmt::format(
                      "; the kernel has killed {} processes of this machine for lack of memory in "
                      "this session's time",
                      *kills - *kills_before);
  }
  if (signal != 0) text += "; who sent the signal isn't told to a parent";
  return text;
}

std::optional<std::uint64_t> memory_kills() { return number_in("/proc/vmstat", "oom_kill "); }

std::string describe_signal(const signalfd_siginfo& info) {
  const std::string what = name_of(static_cast<int>(info.ssi_signo));
  if (info.ssi_code == SI_KERNEL) return what + " from the kernel";
  auto name = read_file(fmt::format("/proc/{}/comm", info.ssi_pid));
  if (name && name->ends_with('\n')) name->pop_back();
  return fmt::format("{} from process {} ({}) of user {}", what, info.ssi_pid,
                     name ? *name : "gone since", info.ssi_uid);
}

}  // namespace sluice::cli
