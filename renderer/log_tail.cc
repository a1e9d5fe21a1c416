#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "renderer/lines.h"

namespace sluice::renderer {

namespace {

constexpr off_t kMaxTail = 256 << 10;

}  // namespace

std::string_view last_lines_of(std::string_view text, std::uint32_t count) {
  // A newline at the very end ends the last line, it does not begin another.
  std::size_t first = text.size(), before = text.size();
  if (text.ends_with('\n')) --before;
  for (std::uint32_t i = 0; i < count && first != 0; ++i) {
    const auto newline = before == 0 ? std::string_view::npos : text.rfind('\n', before - 1);
    first = newline == std::string_view::npos ? 0 : newline + 1;
    before = newline;
  }
  text.remove_prefix(first);
  const auto end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

Result<std::string> last_lines(const std::string& path, std::uint32_t count) {
  // O_NONBLOCK: what is named in a record must not be able to stop us (a FIFO).
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, path);
  if (!S_ISREG(info.st_mode)) return fail("util", "not-a-file", path + " is not a regular file");
  const off_t start = std::max<off_t>(info.st_size - kMaxTail, 0);
  std::string text(static_cast<std::size_t>(info.st_size - start), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got =
        ::pread(fd.get(), text.data() + have, text.size() - have, start + static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, path);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return std::string(last_lines_of(text, count));
}

}  // namespace sluice::renderer
