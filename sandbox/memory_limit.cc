#include "sandbox/memory_limit.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace sluice::sandbox {

namespace {

bool write_at(int group, const char* file, std::string_view text) {
  const UniqueFd fd(::openat(group, file, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool version_1(int group) { return ::faccessat(group, "memory.limit_in_bytes", F_OK, 0) == 0; }

}  // namespace

Status limit_memory(int group, std::uint64_t bytes) {
  const auto unavailable = [](std::string_view why) {
    return fail(
        "sandbox", "unavailable-local-sandbox",
        fmt::format(
            "The memory of builds can't be limited here (max-memory of the user configuration): {}",
            why));
  };
  if (group < 0) {
    if (bytes == 0) return {};
    return unavailable("there is no control group of ours with the memory controller");
  }
  const std::string most = bytes == 0 ? "" : std::to_string(bytes);
  if (version_1(group)) {
    // The limit on memory with swap may not be less than that on memory: it is lifted before that
    // one grows, and set after it shrank. There may be no such file.
    (void)write_at(group, "memory.memsw.limit_in_bytes", "-1");
    if (!write_at(group, "memory.limit_in_bytes", bytes == 0 ? "-1" : most))
      return unavailable(std::strerror(errno));
    if (bytes > 0) (void)write_at(group, "memory.memsw.limit_in_bytes", most);
    // Jobs are forked into groups of version 2.
    if (!write_at(group, "cgroup.procs", "0")) return unavailable(std::strerror(errno));
    return {};
  }
  if (!write_at(group, "memory.max", bytes == 0 ? "max" : most))
    return unavailable(std::strerror(errno));
  (void)write_at(group, "memory.swap.max", bytes == 0 ? "max" : "0");
  return {};
}

std::uint64_t killed_for_memory(int group) {
  if (group < 0) return 0;
  const UniqueFd fd(::openat(group, version_1(group) ? "memory.oom_control" : "memory.events",
                             O_RDONLY | O_CLOEXEC));
  if (!fd) return 0;
  const auto text = read_all(fd.get(), 4096);
  constexpr std::string_view kCount = "oom_kill ";
  const std::size_t at = text ? ("\n" + *text).find("\n" + std::string(kCount)) : std::string::npos;
  return at == std::string::npos ? 0
                                 : std::strtoull(text->c_str() + at + kCount.size(), nullptr, 10);
}

}  // namespace sluice::sandbox
