// A process that ends with status 3, whatever becomes of its child, which has the named fault and
// no standard error.
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const std::string_view fault = argc > 1 ? argv[1] : "";
  if (const pid_t child = ::fork(); child != 0) {
    ::waitpid(child, nullptr, 0);
    return 3;
  }
  ::close(STDERR_FILENO);
  volatile int number = std::numeric_limits<int>::max();
  std::vector<int> one(1, argc);
  if (fault == "overflow") number = number + argc;
  if (fault == "heap") number = one.data()[argc];
  if (fault == "vector") number = one[static_cast<std::size_t>(argc)];
  if (fault == "abort") std::abort();
  if (fault == "leak") *static_cast<void* volatile*>(std::malloc(sizeof(void*))) = nullptr;
  return 0;
}
