#include "base/tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace sluice {

std::string tail_of(const std::string& path, std::uint32_t lines) {
  constexpr off_t kMost = 256 << 10;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  const off_t from = info.st_size > kMost ? info.st_size - kMost : 0;
  if (::lseek(fd.get(), from, SEEK_SET) < 0) return {};
  auto text = read_all(fd.get());
  if (!text) return {};
  const std::size_t end = text->find_last_not_of("\n");
  if (end == std::string::npos) return {};
  text->resize(end + 1);
  std::size_t start = text->size();
  for (std::uint32_t i = 0; i < lines && start != std::string::npos && start > 0; ++i)
    start = text->rfind('\n', start - 1);
  if (start != std::string::npos && start > 0) text->erase(0, start + 1);
  return std::move(*text);
}

}  // namespace sluice
